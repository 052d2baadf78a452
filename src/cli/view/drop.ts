// Dropped packets as people see them: one item a reason and direction, summed over CPUs.
import { dropMeaning } from '../drop-reasons.js';
import { type EnumValue, enumName } from './flags.js';

/** struct drop_key, as decoded. */
export interface DropKey {
  readonly reason: number | string;
  readonly direction: number | string;
}

/** struct drop_counter, as decoded. */
export interface DropCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** A row of the drops map: one counter a CPU. */
export interface DropRow {
  readonly key: DropKey;
  readonly value: readonly DropCounter[];
}

/** An item of DropList. */
export interface DropItem {
  readonly node: string;
  /** As in enum drop_reason. */
  readonly reason: string;
  /** `from_container`, `to_container` or `from_netdev`. */
  readonly direction: string;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly meaning: string;
}

export interface DropNames {
  readonly reasons: readonly EnumValue[];
  readonly directions: readonly EnumValue[];
}

export function viewDrop(node: string, { key, value }: DropRow, names: DropNames): DropItem {
  const reason = enumName(key.reason, names.reasons, '').toUpperCase();
  return {
    node,
    reason,
    direction: enumName(key.direction, names.directions, 'DIRECTION_'),
    packets: value.reduce((sum, counter) => sum + counter.packets, 0n),
    bytes: value.reduce((sum, counter) => sum + counter.bytes, 0n),
    meaning: dropMeaning(reason),
  };
}

/** Most packets first. */
export function byPackets(a: DropItem, b: DropItem): number {
  return a.packets === b.packets ? a.reason.localeCompare(b.reason) : a.packets < b.packets ? 1 : -1;
}

/** An item of `drop list --watch`: a counter that grew. */
export interface DropGrowth extends DropItem {
  /** RFC 3339. */
  readonly time: string;
  readonly newPackets: bigint;
}

/** The counters that grew since the last look, which is kept in `seen`. */
export function growth(items: readonly DropItem[], seen: Map<string, bigint>, time: Date): DropGrowth[] {
  return items.flatMap((item) => {
    const name = `${item.node} ${item.reason} ${item.direction}`;
    const newPackets = item.packets - (seen.get(name) ?? 0n);
    seen.set(name, item.packets);
    return newPackets > 0n ? [{ time: time.toISOString(), ...item, newPackets }] : [];
  });
}
