// All services to map entries. What did not change since the last compile is taken from it as it is.
import type { IpAddress } from '../model/address.js';
import type { Node } from '../model/node.js';
import { inNameOrder } from '../model/order.js';
import type { EndpointSlice, Service } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { VersionedMap } from '../model/versioned-map.js';
import { allocateServiceIds, highestId } from './allocate.js';
import { selectNodePortAddresses } from './frontends.js';
import { chooseSets, findSets, indexSets } from './generations.js';
import type { HostPortServices } from './host-ports.js';
import type { BackendSet, CompiledService, ServiceTables } from './service-entries.js';
import { groupSlices, type SliceGroups } from './slice-groups.js';
import { canonical } from './table.js';
import { listUnits, type Unit, type UnitContext } from './unit.js';

/** All ports and families of one Service. */
export interface CompiledGroup {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  readonly list: readonly CompiledService[];
}

export interface CompiledServices {
  /** By name of the Service, in name order. A group is the same object as long as nothing of it changed. */
  readonly groups: VersionedMap<string, CompiledGroup>;
  /** The groups that it was made from, and the names of all that are others or gone. */
  readonly changes?: { readonly since: CompiledServices['groups']; readonly names: readonly string[] };
  /** What the next compile compares with. */
  readonly basis: Basis;
}

interface Basis {
  readonly services: Snapshot['services'];
  readonly slices: SliceGroups;
  readonly hostPorts: HostPortServices;
  readonly context: UnitContext;
  readonly contextText: string;
  readonly highestId: number;
}

export interface ServicesInput {
  readonly snapshot: Snapshot;
  readonly node: Node;
  /** Of this node's pods; none when absent. An entry is the same object as long as it says the same. */
  readonly hostPorts?: HostPortServices;
  readonly serviceIds: ReadonlyMap<string, number>;
  readonly have: Pick<ServiceTables, 'services' | 'backends'>;
  /** Only when the maps hold just what it says. */
  readonly previous: CompiledServices | undefined;
}

/** With `previous`, only what changed is compiled; the outcome means the same. */
export function compileServices(input: ServicesInput): CompiledServices {
  const { previous, snapshot, hostPorts = NO_HOST_PORTS } = input;
  const context = createContext(input);
  const contextText = canonical(context);
  const slices = groupSlices(snapshot.slices, previous?.basis.slices);
  const basis = { services: snapshot.services, slices, hostPorts, context, contextText };
  if (previous === undefined || previous.basis.contextText !== contextText) return compileAll(input, basis);
  return compileChanges(previous, basis);
}

/** Whether one of the Services that this compile looked at has a backend at one of the addresses. */
export function hasBackendAt({ groups, changes }: CompiledServices, addresses: readonly IpAddress[]): boolean {
  const names = changes === undefined ? groups.keys() : changes.names;
  for (const name of names) {
    const units = groups.get(name)?.list ?? [];
    if (units.some(({ unit }) => unit.backends.some(({ address }) => addresses.includes(address)))) return true;
  }
  return false;
}

function createContext({ snapshot: { network }, node }: ServicesInput): UnitContext {
  return {
    place: { nodeName: node.name, zone: node.zone ?? '' },
    nodePortAddresses: network === undefined ? [] : selectNodePortAddresses(network, node),
    guardsClusterIPs: (network?.serviceCIDRs ?? []).length > 0,
    forwardingMode: network?.forwardingMode ?? 'Translated',
  };
}

function compileAll({ serviceIds, previous, have }: ServicesInput, basis: Omit<Basis, 'highestId'>): CompiledServices {
  const names = [...inNameOrder(basis.services).map(([name]) => name), ...basis.hostPorts.keys()];
  const drafts = names.map((name) => {
    const { service, slices } = sourceOf(name, basis);
    return { name, service, slices, units: listUnits(service, slices, basis.context) };
  });
  const units = drafts.flatMap((draft) => draft.units);
  const claimants = units.map(({ name, frontends }) => ({
    name,
    frontends: frontends.filter(({ kind }) => kind !== 'address').map(({ key }) => key),
  }));
  const ids = allocateServiceIds({ claimants, previous: previous ? listIds(previous) : serviceIds, have });
  const index = indexSets(have.services);
  const groups = drafts.map(({ name, service, slices, units }): [string, CompiledGroup] => {
    const list = units.map((unit) => {
      const id = ids.get(unit.name) ?? 0;
      return compileUnit(unit, id, findSets(id, index, have.backends));
    });
    return [name, { service, slices, list }];
  });
  const highest = highestId(new Set(ids.values()), have);
  return { groups: new VersionedMap(new Map(groups)), basis: { ...basis, highestId: highest } };
}

const NO_SLICES: readonly EndpointSlice[] = [];
const NO_HOST_PORTS: HostPortServices = new Map();

type Sources = Pick<Basis, 'services' | 'slices' | 'hostPorts'>;

/** What a group is compiled from: a Service, or a host port of a pod. */
function sourceOf(name: string, { services, slices, hostPorts }: Sources): Pick<CompiledGroup, 'service' | 'slices'> {
  const hostPort = hostPorts.get(name);
  if (hostPort !== undefined) return hostPort;
  return { service: services.get(name) as Service, slices: slices.groups.get(name) ?? NO_SLICES };
}

function compileUnit(unit: Unit, id: number, known: readonly BackendSet[]): CompiledService {
  return { unit, id, sets: chooseSets(unit.selection, known) };
}

/** Names of the Services to compile anew: their own object or their slices are others. */
function listChanged(previous: CompiledServices, basis: Omit<Basis, 'highestId'>): Set<string> {
  const { services, slices, hostPorts } = basis;
  const changed = new Set([...slices.changed].filter((name) => services.has(name)));
  for (const [name, one] of hostPorts) if (previous.basis.hostPorts.get(name) !== one) changed.add(name);
  if (services === previous.basis.services) return changed;
  for (const [name, service] of services) {
    if (previous.groups.get(name)?.service !== service) changed.add(name);
  }
  return changed;
}

function compileChanges(previous: CompiledServices, basis: Omit<Basis, 'highestId'>): CompiledServices {
  const changed = listChanged(previous, basis);
  const removed = listRemoved(previous, basis);
  let { highestId } = previous.basis;
  const changes = { since: previous.groups, names: [...removed, ...changed] };
  if (changes.names.length === 0) return { groups: previous.groups, changes, basis: { ...basis, highestId } };
  // An id that was given up is not handed out again while the maps may still bear it.
  const newId = () => ++highestId;
  const compiled = Array.from(changed, (name): [string, CompiledGroup] => [
    name,
    compileGroup(name, previous.groups.get(name), basis, newId),
  ]);
  const gone = removed.map((name): [string, undefined] => [name, undefined]);
  return { groups: previous.groups.with([...gone, ...compiled]), changes, basis: { ...basis, highestId } };
}

function listRemoved({ groups, basis }: CompiledServices, { services, hostPorts }: Sources): string[] {
  const gone = [...basis.hostPorts.keys()].filter((name) => !hostPorts.has(name));
  if (services === basis.services) return gone;
  return [...groups.keys()].filter((name) => !services.has(name) && !hostPorts.has(name));
}

function compileGroup(
  name: string,
  before: CompiledGroup | undefined,
  basis: Omit<Basis, 'highestId'>,
  newId: () => number,
): CompiledGroup {
  const { service, slices } = sourceOf(name, basis);
  const list = listUnits(service, slices, basis.context).map((unit) => {
    const former = before?.list.find((one) => one.unit.name === unit.name);
    const known = former === undefined ? [] : [former.sets.cluster, former.sets.local];
    return compileUnit(unit, former?.id ?? newId(), known);
  });
  return { service, slices, list };
}

/** Ids by name of the unit. */
export function listIds(services: Pick<CompiledServices, 'groups'>): Map<string, number> {
  return new Map(Array.from(listCompiled(services), ({ unit, id }) => [unit.name, id]));
}

/** Every unit of every Service. */
export function* listCompiled({ groups }: Pick<CompiledServices, 'groups'>): Generator<CompiledService> {
  for (const { list } of groups.values()) yield* list;
}
