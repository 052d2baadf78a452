// A service port as people see it: its frontend, its name from the agent's state, and the backends in force.
import type { ServiceName } from '../../api/protocol.js';
import type { IpAddress } from '../../model/address.js';
import type { ForwardingMode } from '../../model/service.js';
import type { AddressPort } from '../address-port.js';
import type { FlagDecoder } from './flags.js';
import { protocolName } from './flow.js';
import type { BackendHits, HitIndex } from './hits.js';
import type { PodName } from './pods.js';

/** struct service_key, as decoded. */
export interface ServiceKey {
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: number;
}

/** struct service, as decoded. */
export interface ServiceValue {
  readonly id: number;
  readonly flags: number;
  /** Seconds. */
  readonly affinity: number;
  /** By enum scope: for this node's pods, and for what comes from the wire. */
  readonly sets: readonly { readonly generation: number; readonly backend_count: number }[];
}

/** struct backend_key, as decoded. */
export interface BackendKey {
  readonly service_id: number;
  readonly generation: number;
  readonly slot: number;
}

/** struct backend, as decoded. */
export interface BackendValue {
  readonly address: IpAddress;
  readonly port: number;
}

/** What packets of one scope get. */
export interface ServedItem {
  readonly backendCount: number;
  readonly backends: readonly AddressPort[];
  readonly generation: number;
}

/** An item of ServiceList. */
export interface ServiceItem extends ServedItem {
  /** Absent when the agent's state has no name for the id. */
  readonly service?: PodName;
  readonly portName?: string;
  readonly type?: string;
  readonly protocol: string;
  readonly frontend: AddressPort;
  /** What comes from the wire gets these; the other fields tell what this node's pods get. */
  readonly external: ServedItem;
  /** Absent when the agent's state does not say it. */
  readonly policy?: { readonly internal: string; readonly external: string };
  /** Where packets from outside are handed over to backends of other nodes; absent where they are translated. */
  readonly forwarding?: ForwardingMode;
  readonly affinitySeconds?: number;
  /** New connections of the service port in this family, by all of its frontends; absent when nobody counts. */
  readonly hits?: bigint;
  readonly backendHits?: readonly BackendHits[];
  /** enum service_flags. */
  readonly flags: readonly string[];
  readonly id: number;
}

/** Backends by service and generation, in order of their slots. */
export type BackendIndex = ReadonlyMap<string, readonly AddressPort[]>;

export function indexBackends(rows: Iterable<{ key: BackendKey; value: BackendValue }>): BackendIndex {
  const index = new Map<string, AddressPort[]>();
  for (const { key, value } of rows) {
    const name = `${key.service_id}.${key.generation}`;
    const list = index.get(name) ?? [];
    list[key.slot] = { address: value.address, port: value.port };
    index.set(name, list);
  }
  return index;
}

export interface ServiceRow {
  readonly key: ServiceKey;
  readonly value: ServiceValue;
}

export interface ServiceViewer {
  /** undefined where nobody counts. */
  readonly hits: HitIndex | undefined;
  /** By id. */
  readonly names: ReadonlyMap<number, ServiceName>;
  readonly index: BackendIndex;
  readonly flags: FlagDecoder;
}

export function viewService({ key, value }: ServiceRow, { names, index, flags, hits }: ServiceViewer): ServiceItem {
  const name = names.get(value.id);
  const flagNames = flags(value.flags);
  const [internal = NOBODY, external = internal] = value.sets.map((set) => viewSet(value.id, set, index));
  return {
    ...(name === undefined ? {} : nameFields(name)),
    protocol: protocolName(key.protocol),
    frontend: { address: key.address, port: key.port },
    ...internal,
    external,
    ...(value.affinity > 0 ? { affinitySeconds: value.affinity } : {}),
    ...hitFields(hits, value.id),
    ...(flagNames.includes('direct') ? { forwarding: 'DirectReturn' } : {}),
    flags: flagNames,
    id: value.id,
  };
}

function hitFields(index: HitIndex | undefined, id: number): Pick<ServiceItem, 'hits' | 'backendHits'> {
  if (index === undefined) return {};
  const backendHits = index.get(id) ?? [];
  return { hits: backendHits.reduce((sum, { connections }) => sum + connections, 0n), backendHits };
}

const NOBODY: ServedItem = { backendCount: 0, backends: [], generation: 0 };

function viewSet(id: number, set: ServiceValue['sets'][number], index: BackendIndex): ServedItem {
  const { generation, backend_count: backendCount } = set;
  const backends = backendCount === 0 ? [] : (index.get(`${id}.${generation}`) ?? []);
  return {
    backendCount,
    backends: backends.slice(0, backendCount).filter((backend) => backend !== undefined),
    generation,
  };
}

function nameFields(name: ServiceName): Pick<ServiceItem, 'service' | 'portName' | 'type' | 'policy'> {
  const { namespace, port, type, internalTrafficPolicy: internal, externalTrafficPolicy: external } = name;
  const policy = internal === undefined || external === undefined ? {} : { policy: { internal, external } };
  return { service: { namespace, name: name.name }, portName: port, type, ...policy };
}
