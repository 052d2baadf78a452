// A pod of this node, as the CNI plugin wired it.
import type { IpAddress } from './address.js';
import type { Protocol } from './service.js';

/** What a pod leaves from in one family: blocks of one translation address, so that remotes see one (RFC 4787 REQ-2). */
export interface PortBlocks {
  readonly address: IpAddress;
  /** Numbers, 0-based in the NAT ports, in the order in which they were given; 0 is the node's own. */
  readonly blocks: readonly number[];
}

/** A port of the node that leads to a port of a pod. */
export interface HostPort {
  readonly protocol: Protocol;
  readonly hostPort: number;
  readonly containerPort: number;
  /** Empty: every address of the node, and 127.0.0.1; unspecified (0.0.0.0, ::): those of its family. */
  readonly hostIP: IpAddress | '';
}

/** What a pod may send or receive: `rate` in bits a second, `burst` in bits that may come at once. */
export interface Limit {
  readonly rate: number;
  readonly burst: number;
}

/** As seen from the pod; absent: no limit. */
export interface Bandwidth {
  readonly ingress?: Limit | undefined;
  readonly egress?: Limit | undefined;
}

/** Recorded before the pod is wired and removed after it is gone: the address is taken while the record exists. */
export interface Endpoint {
  readonly containerID: string;
  /** The pod's own device name, `CNI_IFNAME`. */
  readonly interfaceName: string;
  readonly netns: string;
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly addresses: readonly IpAddress[];
  readonly mac: string;
  /** Host side of the veth: name, and index in the node's namespace (0 until the pod is wired). */
  readonly hostInterface: string;
  readonly ifindex: number;
  readonly mtu: number;
  /** One of each family that the pod can be translated in. */
  readonly nat: readonly PortBlocks[];
  /** Name of the CNI network configuration; absent in records of agents that kept none. */
  readonly network?: string | undefined;
  readonly hostPorts?: readonly HostPort[] | undefined;
  readonly bandwidth?: Bandwidth | undefined;
  /** Another CNI plugin made the veth, gave the addresses, and removes both. */
  readonly chained?: boolean | undefined;
  /** RFC 3339. */
  readonly created: string;
}
