// A pod that owns several small blocks, for packet tests of the ports that it gets.
import type { TestDatapath } from './datapath.js';
import { blocks } from './datapath.js';
import type { Packet } from './packet.js';
import { parseFrame, parseTransport } from './packet-text.js';
import { type Addresses, from } from './world.js';

export const SIZE = 16;
/** First ports of blocks, neither adjacent nor in order. */
export const FIRSTS = [50_000, 40_000, 60_000];
/** All their ports, in the order of the search. */
export const ROW = FIRSTS.flatMap((first) => Array.from({ length: SIZE }, (_, index) => first + index));

/** Gives pod a blocks of SIZE ports. */
export function own(datapath: TestDatapath, w: Addresses, firsts: readonly number[], flags = 0): void {
  const { endpoints } = datapath.maps;
  const endpoint = endpoints.get(w.a);
  if (endpoint === undefined) throw new Error(`no endpoint ${w.a}`);
  endpoints.set(w.a, { ...endpoint, flags, ...blocks(SIZE, ...firsts) });
}

/** What begins a connection of pod a. */
export const syn = (w: Addresses, source: number, destination = w.remote): Packet =>
  from('a').ip({ source: w.a, destination }).tcp({ source, destination: 443 });

/** Of a frame with a transport header. */
export function sourcePort(frame: Buffer): number {
  const network = parseFrame(frame);
  const transport = network === undefined ? undefined : parseTransport(network, frame.subarray(14));
  if (transport === undefined) throw new Error('no transport header');
  return transport.source;
}

/** Begins so many connections to one remote, from ascending ports; returns the outside ports. */
export const open = (datapath: TestDatapath, w: Addresses, count: number, first = 10_000): number[] =>
  Array.from({ length: count }, (_, index) => sourcePort(datapath.run('a', syn(w, first + index)).bytes));

export const sorted = (ports: readonly number[]) => [...ports].sort((x, y) => x - y);
