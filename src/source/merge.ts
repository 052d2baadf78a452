// All files of a directory to one snapshot: who is refused, and what stays in force instead. Pure.
import { checkSnapshot } from '../model/check.js';
import { compareText } from '../model/order.js';
import type { Problem, Snapshot } from '../model/snapshot.js';
import type { Converted } from './convert.js';
import type { Accepted, Manifest } from './manifest.js';

/** The objects in force by name, each with the place it came from. */
export type InForce = ReadonlyMap<string, Accepted>;

export interface Merged {
  readonly inForce: InForce;
  readonly snapshot: Snapshot;
  /** The same before it was checked. */
  readonly unchecked: Unchecked;
}

export type Unchecked = Omit<Snapshot, 'problems'>;

/** What came out last. */
export interface Before {
  readonly inForce: InForce;
  readonly unchecked?: Unchecked;
}

/**
 * An object defined twice counts where it is defined first, in the order of file names and lines.
 * A refused object keeps its last good state. A file that holds something illegible loses no object:
 * what is illegible may be any of those it had.
 */
export function mergeManifests(manifests: readonly Manifest[], before: Before, faults: readonly Problem[]): Merged {
  const ordered = [...manifests].sort((a, b) => compareText(a.file, b.file));
  const inForce = new Map<string, Accepted>();
  const problems: Problem[] = [...faults];
  for (const object of ordered.flatMap(({ accepted }) => accepted)) {
    const first = inForce.get(object.name);
    if (first === undefined) inForce.set(object.name, object);
    else problems.push(definedTwice(object, first));
  }
  for (const name of keptNames(ordered, before.inForce)) {
    const last = before.inForce.get(name);
    if (last !== undefined && !inForce.has(name)) inForce.set(name, last);
  }
  for (const manifest of ordered) if (manifest.refused.length > 0) problems.push(...refusals(manifest, inForce));
  const unchecked = shareMaps(toSnapshot(inForce), before.unchecked);
  const snapshot = checkSnapshot({ ...unchecked, problems }, (name) => inForce.get(name)?.where ?? name);
  return { inForce, snapshot, unchecked };
}

function definedTwice({ name, where }: Accepted, first: Accepted): Problem {
  const reason = `defined a second time; it is defined at ${first.where} already`;
  return { where, object: name, reason, inForce: `the definition at ${first.where}` };
}

function keptNames(manifests: readonly Manifest[], before: InForce): string[] {
  const incomplete = new Set(manifests.filter(({ complete }) => !complete).map(({ file }) => file));
  const refused = manifests.flatMap((manifest) => manifest.refused.flatMap(({ name }) => name ?? []));
  if (incomplete.size === 0) return refused;
  return [...refused, ...[...before.values()].filter(({ file }) => incomplete.has(file)).map(({ name }) => name)];
}

function refusals({ file, refused }: Manifest, inForce: InForce): Problem[] {
  const ofFile = [...inForce.values()].filter((object) => object.file === file).length;
  return refused.map(({ name, where, reason }) => {
    if (name === undefined) {
      const kept = ofFile === 0 ? 'nothing of it' : `the last good state of the objects of ${file} (${ofFile})`;
      return { where, object: file, reason, inForce: kept };
    }
    return {
      where,
      object: name,
      reason,
      inForce: inForce.has(name) ? `the last good state of ${name}` : 'nothing of it',
    };
  });
}

/** A map of the same objects as before is the same map: whoever compares sees at once that nothing changed. */
function shareMaps(now: Unchecked, before: Unchecked | undefined): Unchecked {
  if (before === undefined) return now;
  return {
    network: now.network,
    nodes: sameEntries(now.nodes, before.nodes) ? before.nodes : now.nodes,
    podPools: sameEntries(now.podPools, before.podPools) ? before.podPools : now.podPools,
    egressPools: sameEntries(now.egressPools, before.egressPools) ? before.egressPools : now.egressPools,
    services: sameEntries(now.services, before.services) ? before.services : now.services,
    slices: sameEntries(now.slices, before.slices) ? before.slices : now.slices,
  };
}

function sameEntries<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}

function toSnapshot(inForce: InForce): Unchecked {
  const objects = [...inForce.values()].map(({ converted }) => converted);
  return {
    network: objects.find((converted) => converted.kind === 'ClusterNetwork')?.object,
    nodes: ofKind(objects, 'Node'),
    podPools: ofKind(objects, 'PodPool'),
    egressPools: ofKind(objects, 'EgressPool'),
    services: ofKind(objects, 'Service'),
    slices: ofKind(objects, 'EndpointSlice'),
  };
}

type Kind = Converted['kind'];
type ObjectOf<K extends Kind> = Extract<Converted, { kind: K }>['object'];

function ofKind<K extends Kind>(objects: readonly Converted[], kind: K): Map<string, ObjectOf<K>> {
  const matches = objects.filter((converted) => converted.kind === kind);
  return new Map(matches.map(({ key, object }) => [key, object as ObjectOf<K>]));
}
