// The flow table of a node, by its pin.
import { openPinnedMap } from '../../bpf/map.js';
import { loadNative, type NativeMap } from '../../bpf/native.js';
import type { NatCounter } from '../../datapath/types.gen.js';
import { bpffsOf } from '../../testbed/node-home.js';
import type { BenchNode } from '../plan.js';

const BATCH = 4096;

/** Removes every flow and every mapping. */
export function clearFlows(node: BenchNode): void {
  for (const name of ['flows', 'mappings']) clear(`${bpffsOf(node)}/${name}`);
}

/** Keys are not decoded: there may be a million. */
function clear(pin: string): void {
  const map = loadNative().openPinnedMap(pin);
  try {
    for (const { keys, count } of readAll(map)) map.deleteBatch(keys, count);
  } finally {
    map.close();
  }
}

/** All of it before anything is changed. */
function readAll(map: NativeMap): { readonly keys: Buffer; readonly count: number }[] {
  const parts: { readonly keys: Buffer; readonly count: number }[] = [];
  const iterator = map.iterate();
  for (let part = iterator.next(BATCH); part !== undefined; part = iterator.next(BATCH)) parts.push(part);
  return parts;
}

/** Entries; two a flow. */
export function countEntries(node: BenchNode): number {
  const map = loadNative().openPinnedMap(`${bpffsOf(node)}/flows`);
  try {
    return readAll(map).reduce((sum, { count }) => sum + count, 0);
  } finally {
    map.close();
  }
}

/** What the choice of ports came to on all CPUs, since the maps were made. */
export function readCounters(node: BenchNode): readonly NatCounter[] {
  using counters = openPinnedMap<number, readonly NatCounter[]>(loadNative(), `${bpffsOf(node)}/nat_counters`);
  return counters.get(0) ?? [];
}
