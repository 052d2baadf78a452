// One service port in one family as map entries, once its id and the generations of its sets are chosen.
import { cidrBytes, formatAddress } from '../model/address.js';
import type { Backend as SliceBackend } from '../model/service.js';
import { type FrontendKind, PROTOCOL_NUMBERS } from './frontends.js';
import { maglevChunks } from './maglev.js';
import { UNSPECIFIED } from './node-address.js';
import { type Table, toTable } from './table.js';
import {
  type Backend,
  type BackendKey,
  type DirectBackend,
  type DirectKey,
  type MaglevChunk,
  type MaglevKey,
  SCOPE,
  SERVICE_FLAGS,
  type Service,
  type ServiceKey,
  type ServingKey,
  type SourceRangeKey,
} from './types.gen.js';
import type { Unit } from './unit.js';

/** Contents of the maps of services. */
export interface ServiceTables {
  readonly services: Table<ServiceKey, Service>;
  readonly backends: Table<BackendKey, Backend>;
  readonly maglev: Table<MaglevKey, MaglevChunk>;
  readonly source_ranges: Table<SourceRangeKey, number>;
  readonly serving: Table<ServingKey, number>;
  readonly direct_backends: Table<DirectKey, DirectBackend>;
}

/** Backends under a generation. */
export interface BackendSet {
  readonly generation: number;
  readonly backends: readonly Backend[];
}

export interface Sets {
  /** For policy Cluster. */
  readonly cluster: BackendSet;
  /** For policy Local; the same one where both have the same backends. */
  readonly local: BackendSet;
}

/** A service port in one family, and what stands for it in the maps: serviceTables has the entries. */
export interface CompiledService {
  readonly unit: Unit;
  readonly id: number;
  readonly sets: Sets;
}

const PRESENT = 1;
/** By position in struct service. */
const SCOPES = [SCOPE.SCOPE_INTERNAL, SCOPE.SCOPE_EXTERNAL];
const DROP_FLAGS = [SERVICE_FLAGS.SERVICE_DROP_INTERNAL, SERVICE_FLAGS.SERVICE_DROP_EXTERNAL];
const NO_SET = { generation: 0, backend_count: 0 };

/** Made anew each time: kept for all services, they would be most of an agent's memory. */
export function serviceTables({ unit, id, sets }: CompiledService): ServiceTables {
  const named = [...new Set([sets.cluster, sets.local])];
  return {
    services: toTable(unit.frontends.map(({ key, kind }) => [key, serviceValue({ unit, id, sets }, kind)])),
    backends: toTable(named.flatMap((set) => backendEntries(id, set))),
    maglev: toTable(isMaglev(unit) ? named.flatMap((set) => maglevEntries(id, set)) : []),
    source_ranges: toTable(
      unit.sourceRanges.map((cidr) => {
        const { bytes, length } = cidrBytes(cidr);
        return [{ prefix_length: 32 + length, service_id: id, prefix: formatAddress(bytes) }, PRESENT];
      }),
    ),
    serving: toTable(unit.serving.map(({ address, port }) => [{ service_id: id, address, port }, PRESENT])),
    direct_backends: toTable(directEntries(unit)),
  };
}

/** A backend as maps hold it. */
export function toEntry({ address, port }: SliceBackend): Backend {
  return { address, port };
}

function serviceValue({ unit, id, sets }: CompiledService, kind: FrontendKind): Service {
  if (kind === 'address') return { id, flags: SERVICE_FLAGS.SERVICE_ADDRESS, affinity: 0, sets: [NO_SET, NO_SET] };
  const local = SCOPES.map((scope) => isLocal(unit, kind, scope));
  const chosen = local.map((only) => (only ? sets.local : sets.cluster));
  return {
    id,
    flags: serviceFlags(unit, kind) | dropFlags(unit, local),
    affinity: unit.service.affinityTimeout,
    sets: chosen.map(({ generation, backends }) => ({ generation, backend_count: backends.length })),
  };
}

/** What this node's own pods send to an external frontend may go anywhere (short circuit). */
function isLocal({ service }: Unit, kind: FrontendKind, scope: number): boolean {
  if (kind === 'cluster') return service.internalTrafficPolicy === 'Local';
  return scope === SCOPE.SCOPE_EXTERNAL && service.externalTrafficPolicy === 'Local';
}

function serviceFlags(unit: Unit, kind: FrontendKind): number {
  const restricted = kind === 'loadBalancer' && unit.sourceRanges.length > 0;
  return (
    (restricted ? SERVICE_FLAGS.SERVICE_SOURCE_RANGES : 0) |
    (isMaglev(unit) ? SERVICE_FLAGS.SERVICE_MAGLEV : 0) |
    (unit.isDirect && kind !== 'cluster' ? SERVICE_FLAGS.SERVICE_DIRECT : 0) |
    (unit.serving.length > 0 ? SERVICE_FLAGS.SERVICE_SERVING : 0)
  );
}

/** Where only other nodes have backends, a client gets no answer and tries there. */
function dropFlags({ selection }: Unit, local: readonly boolean[]): number {
  if (!selection.anywhere || selection.local.length > 0) return 0;
  return local.reduce((flags, only, scope) => flags | (only ? (DROP_FLAGS[scope] ?? 0) : 0), 0);
}

function isMaglev({ service }: Unit): boolean {
  return service.loadBalancing === 'Maglev';
}

/** By what another node's packet says. Node ports are that node's: the same on all, by whatever address. */
function directEntries({ frontends, port, direct }: Unit): [DirectKey, DirectBackend][] {
  const external = frontends.filter(({ kind }) => kind === 'loadBalancer' || kind === 'external').map(({ key }) => key);
  const protocol = PROTOCOL_NUMBERS[port.protocol];
  const { nodePort } = port;
  const keys = nodePort === undefined ? external : [...external, { address: UNSPECIFIED, port: nodePort, protocol }];
  return direct.flatMap(({ address: pod, port: target }) =>
    keys.map((key): [DirectKey, DirectBackend] => [{ pod, ...key }, { port: target }]),
  );
}

function backendEntries(service_id: number, { generation, backends }: BackendSet): [BackendKey, Backend][] {
  return backends.map((backend, slot) => [{ service_id, generation, slot }, backend]);
}

function maglevEntries(service_id: number, set: BackendSet): [MaglevKey, MaglevChunk][] {
  const { generation } = set;
  return chunksOf(set).map((slots, chunk) => [{ service_id, generation, chunk }, { slots }]);
}

/** A lookup table takes milliseconds to fill: each set's is, once. */
const chunks = new WeakMap<BackendSet, number[][]>();

function chunksOf(set: BackendSet): number[][] {
  if (set.backends.length === 0) return [];
  const known = chunks.get(set) ?? maglevChunks(set.backends.map(({ address, port }) => `${address} ${port}`));
  chunks.set(set, known);
  return known;
}
