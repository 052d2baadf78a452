// Histories of flows that are opened, answered, closed, aged and swept, by few ports, so that each comes to their end.
import fc from 'fast-check';
import { SWEEP_RESULT } from '../../src/datapath/types.gen.js';
import type { TestDatapath } from './datapath.js';
import { entryName, type FlowEntry, isReply } from './flow-facts.js';
import type { Packet } from './packet.js';
import { blocksOf, portsOf } from './port-blocks.js';
import { type Addresses, type Device, from, V4, V6 } from './world.js';

type Protocol = 'tcp' | 'udp' | 'echo';

interface Talk {
  readonly pod: 'a' | 'b';
  readonly six: boolean;
  readonly protocol: Protocol;
  readonly port: number;
  readonly remote: 'remote' | 'remote2' | 'vip';
}

export type Action =
  | ({ readonly do: 'send'; readonly flags: string } & Talk)
  | { readonly do: 'answer'; readonly which: number; readonly flags: string }
  | { readonly do: 'age'; readonly which: number }
  | { readonly do: 'sweep' }
  | { readonly do: 'delete'; readonly pod: 'a' | 'b' };

/** Mostly the first: flows compete for ports only when they have everything else in common. */
function mostly<T>(first: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 5, arbitrary: fc.constant(first) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
}

const pod = mostly<'a' | 'b'>('a', 'b');
const which = fc.nat(30);
const send = fc.record({
  do: fc.constant('send' as const),
  flags: fc.constantFrom('S', 'S', 'S', 'A', 'FA', 'R', 'RA'),
  pod,
  six: mostly(false, true),
  protocol: mostly<Protocol>('tcp', 'udp', 'echo'),
  port: fc.integer({ min: 1000, max: 1011 }),
  remote: mostly<Talk['remote']>('remote', 'remote2', 'vip'),
});
const answered = fc.record({ do: fc.constant('answer' as const), which, flags: fc.constantFrom('SA', 'A', 'FA', 'R') });
const sweep = fc.record({ do: fc.constant('sweep' as const) });

/** Of one CPU that sees the table between two actions. */
export const randomAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 10, arbitrary: send },
  { weight: 8, arbitrary: answered },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('age' as const), which }) },
  { weight: 2, arbitrary: sweep },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), pod }) },
);

/** Of a CPU that runs blindly. */
export const blindAction: fc.Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: send },
  { weight: 4, arbitrary: answered },
  { weight: 1, arbitrary: sweep },
);

/** One action. `aged` are the names of the entries that were made old, and are still there. */
export function act(datapath: TestDatapath, one: Action, aged: Set<string>): void {
  switch (one.do) {
    case 'send':
      datapath.run(one.pod, sent(one));
      break;
    case 'answer':
      withOriginal(datapath, one.which, (entry) => answer(datapath, entry, one.flags));
      break;
    case 'age':
      withOriginal(datapath, one.which, (entry) => age(datapath, entry, aged));
      break;
    case 'sweep':
      runSyscall(datapath, 'sweep_flows');
      break;
    case 'delete':
      runSyscall(datapath, 'sweep_endpoint', { ifindex: datapath.ifindex[one.pod] });
  }
  const present = new Set([...datapath.maps.flows.scan()].map(entryName));
  for (const name of aged) if (!present.has(name)) aged.delete(name);
}

function withOriginal({ maps }: TestDatapath, index: number, then: (entry: FlowEntry) => void): void {
  const all = [...maps.flows.scan()].filter((entry) => !isReply(entry));
  const entry = all.sort((x, y) => (entryName(x) < entryName(y) ? -1 : 1))[index % Math.max(1, all.length)];
  if (entry !== undefined) then(entry);
}

function runSyscall(datapath: TestDatapath, name: string, request?: object): void {
  const options = request === undefined ? {} : { context: datapath.object.encodeStruct('sweep_request', request) };
  for (;;) {
    const { retval } = datapath.program(name).testRun(options);
    if (retval === SWEEP_RESULT.SWEEP_DONE) return;
    if (retval !== SWEEP_RESULT.SWEEP_MORE) throw new Error(`${name} returned ${retval}`);
  }
}

function addressesOf(six: boolean): Addresses {
  return six ? V6 : V4;
}

function sent({ pod: device, six, protocol, port, remote, flags }: Talk & { readonly flags: string }): Packet {
  const w = addressesOf(six);
  const ip = from(device).ip({ source: w[device], destination: w[remote] });
  return transport(ip, protocol, { ports: [port, 80], flags, reply: false });
}

interface Header {
  readonly ports: readonly [number, number];
  readonly flags: string;
  readonly reply: boolean;
}

function transport(ip: Packet, protocol: Protocol, { ports: [source, destination], flags, reply }: Header): Packet {
  if (protocol === 'echo') return ip.echo({ id: reply ? destination : source, reply });
  return protocol === 'udp' ? ip.udp({ source, destination }) : ip.tcp({ source, destination, flags });
}

const PROTOCOLS: Readonly<Record<number, Protocol>> = { 6: 'tcp', 17: 'udp', 1: 'echo', 58: 'echo' };

/** From wherever the flow leads. */
function answer(datapath: TestDatapath, [key, flow]: FlowEntry, flags: string): void {
  const found = Object.entries(datapath.ifindex).find(([, index]) => index === flow.ifindex_out);
  const device = (found?.[0] ?? 'uplink') as Device;
  const ip = from(device).ip({ source: flow.destination, destination: flow.source });
  const ports = [flow.destination_port, flow.source_port] as const;
  datapath.run(device, transport(ip, PROTOCOLS[key.protocol] ?? 'udp', { ports, flags, reply: true }));
}

/** Seconds: longer than any timeout. */
const LONG = 10_000;

/** As if no packet of a flow had come for long; its socket's mapping ends with the last of its flows. */
function age({ maps }: TestDatapath, [key, flow]: FlowEntry, aged: Set<string>): void {
  for (const [name, value] of [...maps.flows.scan()]) {
    if (name.protocol !== key.protocol || !(isSame(name, key) || isSame(turned(name), flow))) continue;
    maps.flows.set(name, { ...value, seen: (value.seen - LONG) >>> 0 });
    aged.add(entryName([name, value]));
  }
  const isOfSocket = ({ address, port }: { address: string; port: number }): boolean =>
    address === key.source && port === key.source_port;
  const lives = [...maps.flows.scan()].some(
    (entry) => isOfSocket({ address: entry[0].source, port: entry[0].source_port }) && !aged.has(entryName(entry)),
  );
  for (const [name, mapping] of lives ? [] : [...maps.mappings.scan()]) {
    if (![name, mapping].some(isOfSocket)) continue;
    maps.mappings.set(name, { ...mapping, expires: (mapping.expires - LONG) >>> 0 });
  }
}

type Ends = Omit<FlowEntry[0], 'protocol'>;

function isSame(one: Ends, other: Ends): boolean {
  return (
    one.source === other.source &&
    one.destination === other.destination &&
    one.source_port === other.source_port &&
    one.destination_port === other.destination_port
  );
}

function turned({ source, destination, source_port, destination_port }: Ends): Ends {
  return { source: destination, destination: source, source_port: destination_port, destination_port: source_port };
}

/** A packet, or undefined for a sweep. */
export type BlindRun = { readonly device: Device; readonly frame: Packet } | undefined;

/** What an action is without a look at the table: an answer goes to every port that may have been chosen. */
export function blindRuns({ maps }: TestDatapath, one: Action): BlindRun[] {
  if (one.do === 'send') return [{ device: one.pod, frame: sent(one) }];
  if (one.do !== 'answer') return [undefined];
  const w = addressesOf(one.which % 5 === 1);
  const endpoint = maps.endpoints.get(one.which % 7 === 0 ? w.b : w.a);
  const ip = from('uplink').ip({ source: one.which % 6 > 0 ? w.remote : w.remote2, destination: w.node });
  return portsOf(endpoint === undefined ? [] : blocksOf(endpoint)).map((port) => ({
    device: 'uplink',
    frame: transport(ip, one.which % 5 === 0 ? 'udp' : 'tcp', { ports: [80, port], flags: one.flags, reply: true }),
  }));
}
