// The lookup table of consistent hashing (Maglev, NSDI 2016, section 3.4): which backend has which slot. Pure.
import { compareText } from '../model/order.js';
import { MAGLEV_LIMITS } from './types.gen.js';

const SLOTS = MAGLEV_LIMITS.MAGLEV_SLOTS;
const CHUNK = MAGLEV_LIMITS.MAGLEV_CHUNK;
const OFFSET_SEED = 0x811c9dc5;
const SKIP_SEED = 0x9747b28c;

/**
 * The owner of every slot, as an index into `names`. Every node finds the same one, whatever the order of names; when
 * a name comes or goes, few slots of the others change their owner. Without names all owners are 0.
 */
export function maglevTable(names: readonly string[], slots: number = SLOTS): Uint16Array {
  const order = names.map((name, index) => ({ name, index })).sort((a, b) => compareText(a.name, b.name));
  const cursors = Uint32Array.from(order, ({ name }) => hash(name, OFFSET_SEED) % slots);
  const skips = Uint32Array.from(order, ({ name }) => (hash(name, SKIP_SEED) % (slots - 1)) + 1);
  const owners = new Int32Array(slots).fill(-1);
  for (let filled = 0; filled < slots && order.length > 0; ) {
    for (let turn = 0; turn < order.length && filled < slots; turn++, filled++) {
      let slot = cursors[turn] ?? 0;
      // `slots` is prime: every permutation visits every slot.
      while (owners[slot] !== -1) slot = (slot + (skips[turn] ?? 1)) % slots;
      owners[slot] = order[turn]?.index ?? 0;
      cursors[turn] = (slot + (skips[turn] ?? 1)) % slots;
    }
  }
  return Uint16Array.from(owners, (owner) => Math.max(owner, 0));
}

/** The table as the map holds it: pieces of equal length, the last one filled up with zeroes. */
export function maglevChunks(names: readonly string[]): number[][] {
  const table = maglevTable(names);
  return Array.from({ length: Math.ceil(SLOTS / CHUNK) }, (_, chunk) =>
    Array.from({ length: CHUNK }, (_, at) => table[chunk * CHUNK + at] ?? 0),
  );
}

/** FNV-1a, and MurmurHash3's finalizer for what differs only in its last characters. */
function hash(text: string, seed: number): number {
  let value = seed;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
