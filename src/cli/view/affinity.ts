// A client that a Service remembers, as people see it.
import type { ServiceName } from '../../api/protocol.js';
import type { IpAddress } from '../../model/address.js';
import type { AddressPort } from '../address-port.js';
import type { PodName } from './pods.js';

/** struct affinity_key, as decoded. */
export interface AffinityKey {
  readonly client: IpAddress;
  readonly service_id: number;
}

/** struct affinity, as decoded. */
export interface AffinityValue {
  readonly address: IpAddress;
  readonly port: number;
  /** Seconds of the monotonic clock. */
  readonly seen: number;
}

/** An item of AffinityList. */
export interface AffinityItem {
  readonly client: IpAddress;
  /** Absent when the agent's state has no name for the id. */
  readonly service?: PodName;
  readonly portName?: string;
  readonly backend: AddressPort;
  /** Since the client's last new connection. */
  readonly ageSeconds: number;
  /** Until it is forgotten; absent when the Service has no affinity any more. */
  readonly remainingSeconds?: number;
  readonly id: number;
}

export interface AffinityViewer {
  /** By service id. */
  readonly names: ReadonlyMap<number, ServiceName>;
  /** Seconds, by service id. */
  readonly timeouts: ReadonlyMap<number, number>;
  /** Seconds of the monotonic clock. */
  readonly now: number;
}

/** undefined when its time is over: the entry stays until its place is needed. */
export function viewAffinity(
  { key, value }: { readonly key: AffinityKey; readonly value: AffinityValue },
  { names, timeouts, now }: AffinityViewer,
): AffinityItem | undefined {
  const name = names.get(key.service_id);
  const timeout = timeouts.get(key.service_id) ?? 0;
  const ageSeconds = Math.max(0, now - value.seen);
  if (timeout > 0 && ageSeconds >= timeout) return undefined;
  return {
    client: key.client,
    ...(name && { service: { namespace: name.namespace, name: name.name }, portName: name.port }),
    backend: { address: value.address, port: value.port },
    ageSeconds,
    ...(timeout > 0 && { remainingSeconds: timeout - ageSeconds }),
    id: key.service_id,
  };
}
