// A pinned map as people see it: what it is, and how full.
import { isArray, isWalkable, mapTypeName } from './map-type.js';

/** What is read of a map. */
export interface MapFacts {
  readonly info: {
    readonly type: number;
    readonly id: number;
    readonly keySize: number;
    readonly valueSize: number;
    readonly maxEntries: number;
  };
  readonly pin: string;
  /** Walks the map. */
  count(): number;
}

/** An item of MapList. */
export interface MapItem {
  readonly name: string;
  readonly type: string;
  /** Kernel id. */
  readonly id: number;
  /** Absent for maps that have no entries, such as ring buffers. */
  readonly entries?: number;
  readonly maxEntries: number;
  readonly usedPercent?: number;
  readonly keyBytes: number;
  /** Of one CPU. */
  readonly valueBytes: number;
  readonly pin: string;
}

export function viewMap(name: string, { info, pin, count }: MapFacts): MapItem {
  const { type, id, maxEntries, keySize, valueSize } = info;
  return {
    name,
    type: mapTypeName(type),
    id,
    ...(isWalkable(type) ? fill(isArray(type) ? maxEntries : count(), maxEntries) : {}),
    maxEntries,
    keyBytes: keySize,
    valueBytes: valueSize,
    pin,
  };
}

function fill(entries: number, maxEntries: number): { entries: number; usedPercent: number } {
  return { entries, usedPercent: maxEntries === 0 ? 0 : Math.round((entries / maxEntries) * 1000) / 10 };
}
