// A device seen as a wire: frames are put on it by hand, and those that arrive can be looked at.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { enter, pause, until } from '../../src/testbed/command.js';
import { PROBE } from '../../src/testbed/files.js';
import type { Packet } from './packet.js';
import { type Network, parseFrame, parseIp, parseTransport, type Transport } from './packet-text.js';

/** A frame that arrived, taken apart. */
export interface Heard {
  readonly bytes: Buffer;
  readonly network: Network;
  /** Absent for later fragments and for protocols that have none. */
  readonly transport?: Transport;
  /** The packet that an ICMP message quotes, when it does. */
  readonly quoted?: { readonly network: Network; readonly bytes: Buffer };
}

const WAIT_MS = 2000;
/** Long enough for a packet that must not come; what is sent here arrives within a millisecond. */
const QUIET_MS = 150;

export class Frames implements Disposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #heard: Heard[] = [];

  private constructor(netns: string, device: string) {
    const [file = '', ...args] = enter([PROBE, 'frames', device], { netns });
    this.#child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => undefined);
  }

  /** Resolves when nothing that arrives from now on is missed. */
  static async open(netns: string, device = 'eth0'): Promise<Frames> {
    const frames = new Frames(netns, device);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let text = '';
    frames.#child.once('exit', (status) => reject(new Error(`frames of ${device} in ${netns} ended with ${status}`)));
    frames.#child.stdout.setEncoding('utf8').on('data', (part: string) => {
      const lines = (text + part).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) line === 'ready' ? resolve() : frames.#hear(Buffer.from(line, 'hex'));
    });
    await promise;
    return frames;
  }

  send(...packets: (Packet | Buffer)[]): void {
    const lines = packets.map((packet) => (Buffer.isBuffer(packet) ? packet : packet.bytes()).toString('hex'));
    this.#child.stdin.write(`${lines.join('\n')}\n`);
  }

  /** Forgets what has arrived. */
  clear(): void {
    this.#heard = [];
  }

  /** The first frame that matches, also one that is here already; it is taken out. Throws when none comes. */
  async next(matches: (heard: Heard) => boolean, what = 'the frame'): Promise<Heard> {
    let found = -1;
    await until(() => {
      found = this.#heard.findIndex(matches);
      return found >= 0;
    }, WAIT_MS);
    const [heard] = found >= 0 ? this.#heard.splice(found, 1) : [];
    if (heard === undefined) throw new Error(`${what} did not come; there were: ${this.#describe()}`);
    return heard;
  }

  /** All that match within a while, and those that are here already. */
  async during(matches: (heard: Heard) => boolean, milliseconds = QUIET_MS): Promise<Heard[]> {
    await pause(milliseconds);
    return this.#heard.filter(matches);
  }

  [Symbol.dispose](): void {
    this.#child.stdin.end();
  }

  #hear(bytes: Buffer): void {
    const network = parseFrame(bytes);
    if (network === undefined) return;
    const transport = parseTransport(network, bytes.subarray(14));
    const inner = transport?.name === 'icmp' ? parseIp(transport.payload) : undefined;
    const quoted =
      inner === undefined || transport === undefined ? undefined : { network: inner, bytes: transport.payload };
    this.#heard.push({ bytes, network, ...(transport && { transport }), ...(quoted && { quoted }) });
  }

  #describe(): string {
    const lines = this.#heard.map(
      ({ network, transport }) => `${network.source} > ${network.destination} ${transport?.text ?? network.protocol}`,
    );
    return lines.slice(-10).join('; ') || 'none';
  }
}
