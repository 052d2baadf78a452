// Names the pod behind an address of a node, from the endpoint records.
import type { IpAddress } from '../../model/address.js';
import type { Endpoint } from '../../model/endpoint.js';

/** A pod as items show it. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** The node's endpoint records by address. Pod addresses are unique on a node, not beyond it. */
export type PodIndex = ReadonlyMap<IpAddress, Endpoint>;

export function indexPods(endpoints: readonly Endpoint[]): PodIndex {
  return new Map(endpoints.flatMap((endpoint) => endpoint.addresses.map((address) => [address, endpoint] as const)));
}

export function podName(endpoint: Endpoint): PodName {
  return { namespace: endpoint.namespace, name: endpoint.pod };
}
