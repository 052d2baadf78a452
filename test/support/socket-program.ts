// Drives a program with real sockets in a namespace and cgroup of the node under test.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { enter } from '../../src/testbed/command.js';
import type { NodeWorld } from './node-world.js';

export interface SocketEnd {
  readonly address: string;
  readonly port: number;
}

/** What the program is asked to do; `id` names a socket. */
export type Request =
  | { readonly do: 'serve'; readonly name: string; readonly port: number }
  | ({ readonly do: 'connect'; readonly id: number } & SocketEnd)
  | { readonly do: 'ask' | 'wait'; readonly id: number }
  | { readonly do: 'open'; readonly id: number; readonly type: 'udp4' | 'udp6' }
  | ({ readonly do: 'connectDatagram'; readonly id: number } & SocketEnd)
  | ({ readonly do: 'send'; readonly id: number } & Partial<SocketEnd>)
  | { readonly do: 'receive'; readonly id: number; readonly milliseconds: number }
  | { readonly do: 'close'; readonly id: number };

/** What came of it. `peer`: what the program is told it speaks to. */
export interface Answer {
  readonly error?: string;
  readonly text?: string;
  readonly peer?: SocketEnd;
}

/** What a server of ours says: its name, and where it sees the client. */
export interface Saw {
  readonly server: string;
  readonly client: SocketEnd;
}

export function sawOf({ text = '' }: Answer): Saw {
  const [server = '', address = '', port] = text.trim().split(' ');
  return { server, client: { address: address.replace('::ffff:', ''), port: Number(port) } };
}

const MAIN = join(import.meta.dirname, 'socket-program-main.ts');

export class SocketProgram implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #count = 0;

  constructor(world: NodeWorld, place: string) {
    const options = { netns: world.netns(place), cgroup: world.cgroupOf(place) };
    const [file = '', ...args] = enter([process.execPath, '--no-warnings', MAIN], options);
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('the program has no output');
    createInterface({ input: stdout }).on('line', (line) => {
      const { number, answer } = JSON.parse(line) as { number: number; answer: Answer };
      this.#waiting.get(number)?.(answer);
      this.#waiting.delete(number);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.stdin?.end();
    await ended;
  }

  ask(request: Request): Promise<Answer> {
    const number = this.#count++;
    this.#child.stdin?.write(`${JSON.stringify({ number, request })}\n`);
    return new Promise((resolve) => this.#waiting.set(number, resolve));
  }

  /** A new id for a socket. */
  id(): number {
    return this.#count++;
  }

  /** Connects, asks who it is, and closes. */
  async who(to: SocketEnd): Promise<Answer> {
    const id = this.id();
    const connected = await this.ask({ do: 'connect', id, ...to });
    const said = connected.error === undefined ? await this.ask({ do: 'ask', id }) : {};
    await this.ask({ do: 'close', id });
    return { ...connected, ...said };
  }

  /** One datagram to an address and what came back. */
  async exchange(id: number, to: Partial<SocketEnd> = {}): Promise<Answer> {
    const sent = await this.ask({ do: 'send', id, ...to });
    return sent.error === undefined ? this.ask({ do: 'receive', id, milliseconds: 2000 }) : sent;
  }
}
