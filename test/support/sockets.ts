// Sockets in a namespace, used from a test: one socket for many remotes, and what comes to it unasked.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { enter, pause, until } from '../../src/testbed/command.js';
import type { Report, Request } from './sockets-main.js';

const MAIN = join(import.meta.dirname, 'sockets-main.ts');
const WAIT_MS = 2000;
/** Long enough for what must not come; what does come takes less than a millisecond. */
const QUIET_MS = 150;

/** An address with a port. */
export interface At {
  readonly address: string;
  readonly port: number;
}

/** Opens sockets; all of them vanish with it. */
export class Sockets implements Disposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, (report: Report) => void>();
  readonly #events = new Map<number, Report[]>();
  #last = 0;

  private constructor(netns: string) {
    const [file = '', ...args] = enter([process.execPath, MAIN], { netns });
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(JSON.parse(line) as Report));
  }

  static async open(netns: string): Promise<Sockets> {
    const sockets = new Sockets(netns);
    await new Promise<void>((resolve) => sockets.#waiting.set(0, () => resolve()));
    return sockets;
  }

  /** Bound to every address of a family. */
  async udp(family: 4 | 6, port = 0): Promise<Udp> {
    const report = await this.call({ op: 'udp', family, port });
    return new Udp(this, report.handle ?? 0, report.port ?? 0);
  }

  async listen(port: number): Promise<Listener> {
    const { handle = 0 } = await this.call({ op: 'listen', port });
    return new Listener(this, handle);
  }

  /** Throws with the error's name when the connection is refused. */
  async connect({ address, port }: At, localPort?: number): Promise<Stream> {
    const report = await this.call({ op: 'connect', address, port, ...(localPort === undefined ? {} : { localPort }) });
    return new Stream(this, report.handle ?? 0, report.port ?? 0);
  }

  /** Throws with the error's name. */
  async call(request: Omit<Request, 'id'>): Promise<Report> {
    const id = ++this.#last;
    const { promise, resolve } = Promise.withResolvers<Report>();
    this.#waiting.set(id, resolve);
    this.#child.stdin.write(`${JSON.stringify({ ...request, id })}\n`);
    const report = await promise;
    if (report.error !== undefined) throw new Error(`${request.op}: ${report.error}`);
    return report;
  }

  /** The next thing that happened to a socket, or undefined when nothing does. */
  async take(handle: number, milliseconds = WAIT_MS): Promise<Report | undefined> {
    const events = this.#events.get(handle) ?? [];
    this.#events.set(handle, events);
    await until(() => events.length > 0, milliseconds);
    return events.shift();
  }

  [Symbol.dispose](): void {
    this.#child.stdin.end();
  }

  #hear(report: Report): void {
    if (report.id !== undefined) {
      this.#waiting.get(report.id)?.(report);
      this.#waiting.delete(report.id);
      return;
    }
    const handle = report.handle ?? 0;
    this.#events.set(handle, this.#events.get(handle) ?? []);
    this.#events.get(handle)?.push(report);
  }
}

class Handle {
  readonly #sockets: Sockets;
  readonly handle: number;

  constructor(sockets: Sockets, handle: number) {
    this.#sockets = sockets;
    this.handle = handle;
  }

  protected call(request: Omit<Request, 'id' | 'handle'>): Promise<Report> {
    return this.#sockets.call({ ...request, handle: this.handle });
  }

  /** The next thing that happens. Throws when nothing does. */
  async next(milliseconds = WAIT_MS): Promise<Report> {
    const report = await this.#sockets.take(this.handle, milliseconds);
    if (report === undefined) throw new Error('nothing came');
    return report;
  }

  /** What comes within a while; what was here before is part of it. */
  async during(milliseconds = QUIET_MS): Promise<Report[]> {
    await pause(milliseconds);
    const all: Report[] = [];
    for (
      let report = await this.#sockets.take(this.handle, 0);
      report;
      report = await this.#sockets.take(this.handle, 0)
    )
      all.push(report);
    return all;
  }

  protected connected(handle: number): Stream {
    return new Stream(this.#sockets, handle, 0);
  }

  async close(): Promise<void> {
    await this.call({ op: 'close' });
  }
}

export class Udp extends Handle {
  readonly port: number;

  constructor(sockets: Sockets, handle: number, port: number) {
    super(sockets, handle);
    this.port = port;
  }

  /** From now on it has one peer, and hears of errors about what it sent there. */
  async attach(to: At): Promise<void> {
    await this.call({ op: 'attach', ...to });
  }

  async send(text: string, to?: At): Promise<void> {
    await this.call({ op: 'send', text, ...to });
  }

  /** As whom a server sees this socket. */
  async who(to: At): Promise<At> {
    await this.send('who\n', to);
    return parseWho((await this.next()).text ?? '');
  }
}

export class Stream extends Handle {
  /** The local port of one that was opened from here. */
  readonly port: number;

  constructor(sockets: Sockets, handle: number, port: number) {
    super(sockets, handle);
    this.port = port;
  }

  async write(text: string): Promise<void> {
    await this.call({ op: 'write', text });
  }

  async end(): Promise<void> {
    await this.call({ op: 'end' });
  }

  async reset(): Promise<void> {
    await this.call({ op: 'reset' });
  }

  async who(): Promise<At> {
    await this.write('who\n');
    return parseWho((await this.next()).text ?? '');
  }
}

export class Listener extends Handle {
  /** The next connection, and from where it came. */
  async accept(milliseconds?: number): Promise<{ stream: Stream; from: At }> {
    const { accepted = 0, from } = await this.next(milliseconds);
    return { stream: this.connected(accepted), from: plain(from ?? { address: '', port: 0 }) };
  }
}

/** The probe's servers say "ADDRESS PORT". */
function parseWho(text: string): At {
  const [address = '', port = ''] = text.trim().split(' ');
  return plain({ address, port: Number(port) });
}

function plain({ address, port }: At): At {
  return { address: address.replace(/^::ffff:/, ''), port };
}
