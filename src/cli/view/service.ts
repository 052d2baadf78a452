// A service port as people see it: its frontend, its name from the agent's state, and the backends in force.
import type { ServiceName } from '../../api/protocol.js';
import type { IpAddress } from '../../model/address.js';
import type { AddressPort } from '../address-port.js';
import { protocolName } from './flow.js';
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
  readonly generation: number;
  readonly backend_count: number;
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

/** An item of ServiceList. */
export interface ServiceItem {
  /** Absent when the agent's state has no name for the id. */
  readonly service?: PodName;
  readonly portName?: string;
  readonly type?: string;
  readonly protocol: string;
  readonly frontend: AddressPort;
  readonly backendCount: number;
  readonly backends: readonly AddressPort[];
  readonly id: number;
  readonly generation: number;
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

/** `names`: by id. */
export function viewService(
  row: ServiceRow,
  names: ReadonlyMap<number, ServiceName>,
  index: BackendIndex,
): ServiceItem {
  const { key, value } = row;
  const name = names.get(value.id);
  const backends = index.get(`${value.id}.${value.generation}`) ?? [];
  return {
    ...(name === undefined ? {} : nameFields(name)),
    protocol: protocolName(key.protocol),
    frontend: { address: key.address, port: key.port },
    backendCount: value.backend_count,
    backends: backends.slice(0, value.backend_count).filter((backend) => backend !== undefined),
    id: value.id,
    generation: value.generation,
  };
}

function nameFields({ namespace, name, port, type }: ServiceName): Pick<ServiceItem, 'service' | 'portName' | 'type'> {
  return { service: { namespace, name }, portName: port, type };
}
