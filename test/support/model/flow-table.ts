// The flows that a translator keeps: each is known by what its first packet looked like, and by what answers it.
import type { Numbers } from './timestamp.js';
import { type Address, reverse, type Tuple, tupleText } from './tuple.js';
import { TCP, type View } from './view.js';

/** Where packets of one direction go: a device, and when that is a pod's, its MAC address. */
export interface Way {
  readonly device: string;
  readonly mac: string | undefined;
  readonly mtu: number;
}

export interface Flow {
  /** Of the first packet, as it came and as it leaves. */
  readonly original: Tuple;
  readonly translated: Tuple;
  /** The only devices where packets of each direction are accepted. */
  readonly from: string;
  readonly answersFrom: string;
  readonly way: Way;
  readonly wayBack: Way;
  /** What the timestamps of its first sender are moved by. */
  readonly shift: number;
  /** Of TCP. */
  readonly ended: { original: boolean; reply: boolean; reset: boolean };
  /** The last numbers that its first sender has sent since it began to end. */
  record: Numbers | undefined;
}

export interface Entry {
  readonly flow: Flow;
  readonly isReply: boolean;
  /** What packets of this direction become. */
  readonly to: Tuple;
  readonly from: string;
  readonly way: Way;
}

export class FlowTable {
  readonly #entries = new Map<string, Entry>();

  get(tuple: Tuple): Entry | undefined {
    return this.#entries.get(tupleText(tuple));
  }

  /** The flow whose answers have this tuple, or whose first packet had. */
  has(tuple: Tuple): boolean {
    return this.#entries.has(tupleText(tuple));
  }

  insert(flow: Flow): void {
    const { original, translated, from, answersFrom, way, wayBack } = flow;
    this.#put(original, { flow, isReply: false, to: translated, from, way });
    this.#put(reverse(translated), { flow, isReply: true, to: reverse(original), from: answersFrom, way: wayBack });
  }

  remove({ original, translated }: Flow): void {
    this.#entries.delete(tupleText(original));
    this.#entries.delete(tupleText(reverse(translated)));
  }

  /** Every entry as a line, sorted. */
  lines(): string[] {
    return [...this.#entries].map(([text, { to, from, way }]) => lineOf(text, to, [from, way.device])).sort();
  }

  #put(tuple: Tuple, entry: Entry): void {
    const text = tupleText(tuple);
    if (this.#entries.has(text)) throw new Error(`two flows have ${text}`);
    this.#entries.set(text, entry);
  }
}

/** The line of one entry. */
export function lineOf(key: string, to: Tuple, [from, out]: readonly [string, string]): string {
  return `${key} => ${tupleText(to)} ${from} -> ${out}`;
}

/** Whether a flow's port may serve another. When a reset is believed is the datapath's to say. */
export function mayBeOver({ ended: { original, reply, reset } }: Flow): boolean {
  return reset || (original && reply);
}

/** Whether it must: both sides have closed, and there was no reset that could have been a forged one. */
export function isOver({ ended: { original, reply, reset } }: Flow): boolean {
  return original && reply && !reset;
}

/** Notes what a segment says about the end of its connection. */
export function observe({ flow, isReply }: Entry, { tcp }: View, numbers: Numbers | undefined): void {
  if (tcp === undefined) return;
  const { ended } = flow;
  if (!isReply && mayBeOver(flow) && (tcp.flags & (TCP.syn | TCP.ack)) === TCP.syn) {
    Object.assign(ended, { original: false, reply: false, reset: false });
    flow.record = undefined;
  } else {
    if (tcp.flags & TCP.fin) ended[isReply ? 'reply' : 'original'] = true;
    if (tcp.flags & TCP.rst) ended.reset = true;
  }
  const ends = ended.original || ended.reply || ended.reset;
  if (isReply || !ends || numbers === undefined) return;
  const { timestamp = flow.record?.timestamp, sequence } = moved(numbers, flow.shift);
  flow.record = { timestamp, sequence };
}

function moved({ timestamp, sequence }: Numbers, shift: number): Numbers {
  return { sequence, timestamp: timestamp === undefined ? undefined : (timestamp + shift) >>> 0 };
}

/** Endpoint-independent mappings (RFC 4787 REQ-1): a socket, its outside name, and who it has sent to. */
export interface Mapping {
  readonly protocol: number;
  readonly inside: Socket;
  readonly outside: Socket;
  readonly contacts: Set<Address>;
}

export interface Socket {
  readonly address: Address;
  readonly port: number;
}

export class MappingTable {
  readonly #mappings: Mapping[] = [];

  byInside(protocol: number, socket: Socket): Mapping | undefined {
    return this.#mappings.find((one) => one.protocol === protocol && isSame(one.inside, socket));
  }

  byOutside(protocol: number, socket: Socket): Mapping | undefined {
    return this.#mappings.find((one) => one.protocol === protocol && isSame(one.outside, socket));
  }

  add(mapping: Mapping): void {
    this.#mappings.push(mapping);
  }
}

function isSame(one: Socket, other: Socket): boolean {
  return one.address === other.address && one.port === other.port;
}
