// The frontends of a service port: all addresses and ports by which it can be reached.
import { contains, type Family, familyOf, type IpAddress } from '../model/address.js';
import type { ClusterNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import type { Protocol, Service, ServicePort } from '../model/service.js';
import { firstAddress, UNSPECIFIED } from './node-address.js';
import type { ServiceKey } from './types.gen.js';

/** `address`: a cluster IP as such, of which the other ports are refused. */
export type FrontendKind = 'cluster' | 'external' | 'loadBalancer' | 'node' | 'address';

export interface Frontend {
  readonly key: ServiceKey;
  readonly kind: FrontendKind;
}

export interface FrontendsInput {
  readonly service: Service;
  readonly port: ServicePort;
  readonly family: Family;
  /** Addresses of the family that node ports are served on. */
  readonly nodePortAddresses: readonly IpAddress[];
}

/** IANA protocol numbers. */
export const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Each once; of two kinds of one address the first in this order counts. */
export function listFrontends({ service, port, family, nodePortAddresses }: FrontendsInput): Frontend[] {
  const protocol = PROTOCOL_NUMBERS[port.protocol];
  const found = new Map<string, Frontend>();
  const add = (kind: FrontendKind, addresses: readonly IpAddress[], number: number): void => {
    for (const address of addresses) {
      const text = `${address} ${number}`;
      if (familyOf(address) !== family || found.has(text)) continue;
      found.set(text, { key: { address, port: number, protocol }, kind });
    }
  };
  add('cluster', service.clusterIPs, port.port);
  add('loadBalancer', service.loadBalancerIPs, port.port);
  add('external', service.externalIPs, port.port);
  if (port.nodePort !== undefined) add('node', nodePortAddresses, port.nodePort);
  return [...found.values()];
}

/** The cluster IPs of a family as such. */
export function listAddresses({ clusterIPs }: Service, family: Family): Frontend[] {
  return clusterIPs
    .filter((address) => familyOf(address) === family)
    .map((address) => ({ key: { address, port: 0, protocol: 0 }, kind: 'address' }));
}

/** Of a node's addresses, those that serve node ports: `primary` is the first of its family. */
export function selectNodePortAddresses({ nodePortAddresses }: ClusterNetwork, node: Node): IpAddress[] {
  if (nodePortAddresses === undefined) return [...node.addresses];
  const primary = [firstAddress(node, 'ipv4'), firstAddress(node, 'ipv6')].filter((one) => one !== UNSPECIFIED);
  return node.addresses.filter((address) =>
    nodePortAddresses.some((item) => (item === 'primary' ? primary.includes(address) : contains(item, address))),
  );
}
