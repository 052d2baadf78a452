// EndpointSlices by the Service that they belong to, brought up to date instead of made anew.
import type { EndpointSlice } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';

export interface SliceGroups {
  /** By name of the Service. A list is the same object as long as none of its slices changed. */
  readonly groups: ReadonlyMap<string, readonly EndpointSlice[]>;
  /** Names of Services whose list is another than before. */
  readonly changed: ReadonlySet<string>;
  readonly slices: Snapshot['slices'];
}

export function groupSlices(slices: Snapshot['slices'], before?: SliceGroups): SliceGroups {
  if (before === undefined) {
    const groups = Map.groupBy(slices.values(), ownerOf);
    return { groups, changed: new Set(groups.keys()), slices };
  }
  const changed = slices === before.slices ? new Set<string>() : listChanged(slices, before.slices);
  if (changed.size === 0) return { groups: before.groups, changed, slices };
  const groups = new Map(before.groups);
  for (const name of changed) groups.delete(name);
  for (const [name, list] of Map.groupBy(slicesOf(slices, changed), ownerOf)) groups.set(name, list);
  return { groups, changed, slices };
}

function listChanged(slices: Snapshot['slices'], before: Snapshot['slices']): Set<string> {
  const changed = new Set<string>();
  let common = 0;
  for (const [key, slice] of slices) {
    const former = before.get(key);
    if (former !== undefined) common++;
    if (former === slice) continue;
    changed.add(ownerOf(slice));
    if (former !== undefined) changed.add(ownerOf(former));
  }
  if (common === before.size) return changed;
  for (const [key, former] of before) if (!slices.has(key)) changed.add(ownerOf(former));
  return changed;
}

function* slicesOf(slices: Snapshot['slices'], owners: ReadonlySet<string>): Generator<EndpointSlice> {
  for (const slice of slices.values()) if (owners.has(ownerOf(slice))) yield slice;
}

/** Known by the object, because the text of thousands of them is made for every change of one. */
const owners = new WeakMap<EndpointSlice, string>();

function ownerOf(slice: EndpointSlice): string {
  const known = owners.get(slice);
  if (known !== undefined) return known;
  const owner = `${slice.namespace}/${slice.serviceName}`;
  owners.set(slice, owner);
  return owner;
}
