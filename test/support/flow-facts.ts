// What must hold of the flow table at any moment: each fact is one function, which names what breaks it.
import type { Endpoint, Flow, FlowKey, Mapping, MappingKey } from '../../src/datapath/types.gen.js';
import { FLOW_FLAGS, MAPPING_SIDE } from '../../src/datapath/types.gen.js';
import { blocksOf, isInBlocks } from './port-blocks.js';

export type FlowEntry = readonly [FlowKey, Flow];
export type MappingEntry = readonly [MappingKey, Mapping];

const { MAPPING_INSIDE, MAPPING_OUTSIDE } = MAPPING_SIDE;
/** Whatever says that a connection ends. */
const ENDING = Object.entries(FLOW_FLAGS).reduce(
  (bits, [name, bit]) => (/FIN|RESET/.test(name) ? bits | bit : bits),
  0,
);

interface Ends {
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
}

/** A tuple as text, or the one that answers it. */
function nameOf(protocol: number, at: Ends): string {
  return `${protocol} ${at.source}:${at.source_port} > ${at.destination}:${at.destination_port}`;
}

function answerName(protocol: number, at: Ends): string {
  return `${protocol} ${at.destination}:${at.destination_port} > ${at.source}:${at.source_port}`;
}

export function entryName([key]: FlowEntry): string {
  return nameOf(key.protocol, key);
}

export function isReply([, { flags }]: FlowEntry): boolean {
  return (flags & FLOW_FLAGS.FLOW_REPLY) !== 0;
}

/** Answered, and nobody has said that it ends. */
export function isEstablished([, { flags }]: FlowEntry): boolean {
  return (flags & FLOW_FLAGS.FLOW_SEEN_REPLY) !== 0 && (flags & ENDING) === 0;
}

/** Entries whose other direction is not there, or is another flow's. */
export function halfPairs(entries: readonly FlowEntry[]): string[] {
  const byName = new Map(entries.map((entry) => [entryName(entry), entry]));
  return entries
    .filter((entry) => {
      const [key, flow] = entry;
      const other = byName.get(answerName(key.protocol, flow));
      return (
        other === undefined ||
        answerName(key.protocol, other[1]) !== entryName(entry) ||
        isReply(other) === isReply(entry)
      );
    })
    .map(entryName);
}

/** Names of answers that more than one flow waits for. */
export function sharedAnswers(entries: readonly FlowEntry[]): string[] {
  const names = entries.filter((entry) => !isReply(entry)).map(([key, flow]) => answerName(key.protocol, flow));
  return names.filter((name, index) => names.indexOf(name) !== index);
}

/** Flows that leave by a port that is not of the block of who began them. */
export function foreignPorts(entries: readonly FlowEntry[], endpoints: ReadonlyMap<string, Endpoint>): string[] {
  const nodes = [...endpoints.values()].filter(({ ifindex }) => ifindex === 0);
  return entries
    .filter((entry) => !isReply(entry) && (entry[1].flags & FLOW_FLAGS.FLOW_REWRITE_SOURCE) !== 0)
    .filter(([key, flow]) => {
      const pod = endpoints.get(key.source);
      const owner = pod ?? nodes.find(({ nat_address }) => nat_address === flow.source);
      return owner === undefined || owner.nat_address !== flow.source || !isInBlocks(blocksOf(owner), flow.source_port);
    })
    .map((entry) => `${entryName(entry)} leaves by ${entry[1].source}:${entry[1].source_port}`);
}

/**
 * Outside names that their socket does not know as its own. The other way round, a socket may still name a port that
 * it has lost since nobody used it: that is looked at before it is believed, and swept in its time.
 */
export function brokenMappings(entries: readonly MappingEntry[]): string[] {
  const sockets = new Map(
    entries.filter(([{ side }]) => side === MAPPING_INSIDE).map(([key, mapping]) => [socketName(key), mapping]),
  );
  return entries
    .filter(([{ side }]) => side === MAPPING_OUTSIDE)
    .filter(([key, { address, port }]) => {
      const mapping = sockets.get(socketName({ protocol: key.protocol, address, port }));
      return mapping?.address !== key.address || mapping.port !== key.port;
    })
    .map(([key]) => `${socketName(key)} outside`);
}

function socketName({ protocol, address, port }: { protocol: number; address: string; port: number }): string {
  return `${protocol} ${address}:${port}`;
}

/** Flows of a mapped protocol whose port another socket has, too: one port is one socket's towards every remote. */
export function sharedPorts(entries: readonly FlowEntry[]): string[] {
  const sockets = new Map<string, Set<string>>();
  for (const [key, flow] of entries.filter((entry) => !isReply(entry))) {
    const port = `${key.protocol} ${flow.source}:${flow.source_port}`;
    sockets.set(port, (sockets.get(port) ?? new Set()).add(`${key.source}:${key.source_port}`));
  }
  return [...sockets].filter(([, users]) => users.size > 1).map(([port, users]) => `${port}: ${[...users].join(' ')}`);
}
