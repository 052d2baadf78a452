// Reads what an agent has pinned: maps by their own BTF, and which programs are behind the links.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openPinnedMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import { run } from '../../src/testbed/command.js';

export interface FlowEntry {
  readonly key: FlowKey;
  readonly value: FlowKey & { readonly flags: number; readonly packets: bigint; readonly ifindex_in: number };
}

interface FlowKey {
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
  readonly protocol: number;
}

/** Every entry of a map. */
export function readEntries<K, V>(bpffs: string, map: string): (readonly [K, V])[] {
  using pinned = openPinnedMap<K, V>(loadNative(), join(bpffs, map));
  return [...pinned.scan()];
}

/** Packets dropped for a reason, by its number, of all directions. */
export function countDrops(bpffs: string, reason: number): number {
  const all = readEntries<{ reason: number | string }, readonly { packets: bigint }[]>(bpffs, 'drops');
  return all
    .filter(([key]) => Number(key.reason) === reason)
    .reduce((sum, [, cpus]) => sum + cpus.reduce((total, { packets }) => total + Number(packets), 0), 0);
}

/** Ids of the programs behind the pinned links, by link. */
export async function programIds(bpffs: string): Promise<Record<string, number>> {
  const ids: Record<string, number> = {};
  for (const link of readdirSync(join(bpffs, 'links')).sort()) {
    const text = await run(['bpftool', '-j', 'link', 'show', 'pinned', join(bpffs, 'links', link)]);
    ids[link] = (JSON.parse(text) as { prog_id: number }).prog_id;
  }
  return ids;
}

/** Removes an entry behind the agent's back. */
export function deleteEntry(bpffs: string, map: string, key: unknown): boolean {
  using pinned = openPinnedMap<unknown, unknown>(loadNative(), join(bpffs, map));
  return pinned.delete(key);
}
