// Many copies of one flow, as bytes: a million entries by the codec would take longer than what is measured.
import type { NativeMap } from '../../bpf/native.js';
import { findType } from '../../btf/types.js';
import type { Flow, FlowKey } from '../../datapath/types.gen.js';
import { FLOW_FLAGS } from '../../datapath/types.gen.js';
import type { Datapath } from '../loaded.js';

/** One of a flow's two entries, with the places of what differs from copy to copy. */
interface Pattern {
  readonly key: Buffer;
  readonly flow: Buffer;
  /** Of the remote address. */
  readonly inKey: number;
  readonly inFlow: number;
  /** Of the seconds of the last packet. */
  readonly seen: number;
}

export interface WriteOptions {
  readonly count: number;
  /** Only every so manieth. */
  readonly step: number;
  /** Seconds of the monotonic clock. */
  readonly seen: number;
}

const BATCH = 2048;
/** Where an IPv4 address is in its mapped form. */
const IPV4_AT = 12;
/** 203.0.0.1 and on. Any will do: nothing is sent to them. */
const FIRST_REMOTE = 0xcb000001;

export class Copies {
  readonly #patterns: readonly Pattern[];

  /** Of the flow with IPv4 to this remote port. Throws when there is none. */
  constructor(datapath: Datapath, remotePort: number) {
    const [opening, reply] = findPair(datapath, remotePort);
    this.#patterns = [
      toPattern(datapath, opening, ['destination', 'destination']),
      toPattern(datapath, reply, ['source', 'source']),
    ];
  }

  /** Adds or changes them. */
  write(map: NativeMap, { count, step, seen }: WriteOptions): void {
    for (let from = 0; from < count; from += step * BATCH) {
      const copies = Math.min(BATCH, Math.ceil((count - from) / step));
      for (const pattern of this.#patterns) writeBatch(map, pattern, { from, step, copies, seen });
    }
  }
}

function findPair(datapath: Datapath, remotePort: number): [Entry, Entry] {
  using table = datapath.map('flows');
  const both = [...table.scan()].filter(([key]) => [key.source_port, key.destination_port].includes(remotePort));
  const opening = both.find(([, { flags }]) => (flags & FLOW_FLAGS.FLOW_REPLY) === 0);
  if (opening === undefined) throw new Error(`no flow to port ${remotePort} to copy`);
  const { source, source_port } = opening[1];
  const reply = both.find(([key]) => key.destination === source && key.destination_port === source_port);
  if (reply === undefined) throw new Error(`the flow to port ${remotePort} has no other half`);
  return [opening, reply];
}

type Entry = readonly [FlowKey, Flow];

function toPattern(datapath: Datapath, [key, flow]: Entry, [inKey, inFlow]: [string, string]): Pattern {
  return {
    key: datapath.encodeStruct('flow_key', key),
    flow: datapath.encodeStruct('flow', flow),
    inKey: offsetOf(datapath, 'flow_key', inKey) + IPV4_AT,
    inFlow: offsetOf(datapath, 'flow', inFlow) + IPV4_AT,
    seen: offsetOf(datapath, 'flow', 'seen'),
  };
}

function offsetOf({ btf }: Datapath, struct: string, member: string): number {
  const found = findType(btf, 'struct', struct)?.members.find(({ name }) => name === member);
  if (found === undefined) throw new Error(`struct ${struct} has no ${member}`);
  return found.bitOffset / 8;
}

interface Batch {
  readonly from: number;
  readonly step: number;
  readonly copies: number;
  readonly seen: number;
}

function writeBatch(map: NativeMap, pattern: Pattern, { from, step, copies, seen }: Batch): void {
  const { key, flow } = pattern;
  const keys = Buffer.alloc(copies * key.length, key);
  const flows = Buffer.alloc(copies * flow.length, flow);
  for (let copy = 0; copy < copies; copy++) {
    const remote = FIRST_REMOTE + from + copy * step;
    keys.writeUInt32BE(remote, copy * key.length + pattern.inKey);
    flows.writeUInt32BE(remote, copy * flow.length + pattern.inFlow);
    flows.writeUInt32LE(seen >>> 0, copy * flow.length + pattern.seen);
  }
  map.updateBatch(keys, flows, copies);
}
