// The flow table of a node, by its pin.
import { type KernelMap, openPinnedMap } from '../../bpf/map.js';
import { loadNative } from '../../bpf/native.js';
import type { Flow, FlowKey, MappingKey, NatCounter } from '../../datapath/types.gen.js';
import { bpffsOf } from '../../testbed/node-home.js';
import type { BenchNode } from '../plan.js';

const BATCH = 4096;

/** To be closed by who asked. */
export function openFlows(node: BenchNode): KernelMap<FlowKey, Flow> {
  return openPinnedMap<FlowKey, Flow>(loadNative(), `${bpffsOf(node)}/flows`);
}

/** Removes every flow and every mapping. */
export function clearFlows(node: BenchNode): void {
  using flows = openFlows(node);
  using mappings = openPinnedMap<MappingKey>(loadNative(), `${bpffsOf(node)}/mappings`);
  clear(flows);
  clear(mappings);
}

function clear<K>(map: KernelMap<K, unknown>): void {
  const keys = [...map.scan()].map(([key]) => key);
  for (let at = 0; at < keys.length; at += BATCH) map.deleteMany(keys.slice(at, at + BATCH));
}

/** Entries; two a flow. */
export function countEntries(node: BenchNode): number {
  using flows = openFlows(node);
  let count = 0;
  for (const _ of flows.scan()) count++;
  return count;
}

/** What the choice of ports came to on all CPUs, since the maps were made. */
export function readCounters(node: BenchNode): readonly NatCounter[] {
  using counters = openPinnedMap<number, readonly NatCounter[]>(loadNative(), `${bpffsOf(node)}/nat_counters`);
  return counters.get(0) ?? [];
}
