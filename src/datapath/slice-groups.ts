// EndpointSlices by the Service that they belong to, brought up to date instead of made anew.
import type { EndpointSlice } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { VersionedMap } from '../model/versioned-map.js';

export interface SliceGroups {
  /** By name of the Service. A list is the same object as long as none of its slices changed. */
  readonly groups: VersionedMap<string, readonly EndpointSlice[]>;
  /** Names of Services whose list is another than before. */
  readonly changed: ReadonlySet<string>;
  readonly slices: Snapshot['slices'];
}

export function groupSlices(slices: Snapshot['slices'], before?: SliceGroups): SliceGroups {
  if (before === undefined) {
    const groups = Map.groupBy(slices.values(), ownerOf);
    return { groups: new VersionedMap(groups), changed: new Set(groups.keys()), slices };
  }
  const keys = changedKeys(slices, before.slices);
  if (keys.size === 0) return { groups: before.groups, changed: new Set(), slices };
  const lists = regroup(keys, slices, before);
  return { groups: before.groups.with(lists), changed: new Set(lists.keys()), slices };
}

/** The lists that are others than before; undefined for a Service that has no slice any more. */
function regroup(keys: ReadonlySet<string>, slices: Snapshot['slices'], before: SliceGroups) {
  const lists = new Map<string, readonly EndpointSlice[] | undefined>();
  const listOf = (owner: string): readonly EndpointSlice[] => lists.get(owner) ?? before.groups.get(owner) ?? [];
  for (const key of keys) {
    const [former, now] = [before.slices.get(key), slices.get(key)];
    if (former === now) continue;
    if (former !== undefined) {
      const owner = ownerOf(former);
      lists.set(
        owner,
        listOf(owner).filter((slice) => slice !== former),
      );
    }
    if (now !== undefined) lists.set(ownerOf(now), [...listOf(ownerOf(now)), now]);
  }
  for (const [owner, list] of lists) if (list?.length === 0) lists.set(owner, undefined);
  return lists;
}

/** All that may differ: a source that knows what has changed spares us the search. */
function changedKeys(slices: Snapshot['slices'], before: Snapshot['slices']): ReadonlySet<string> {
  if (slices === before) return new Set();
  const known = slices instanceof VersionedMap ? slices.changedSince(before) : undefined;
  return known ?? searchChanges(slices, before);
}

function searchChanges(slices: Snapshot['slices'], before: Snapshot['slices']): Set<string> {
  const changed = new Set<string>();
  let common = 0;
  for (const [key, slice] of slices) {
    const former = before.get(key);
    if (former !== undefined) common++;
    if (former !== slice) changed.add(key);
  }
  if (common === before.size) return changed;
  for (const key of before.keys()) if (!slices.has(key)) changed.add(key);
  return changed;
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
