// A pod of this node, as the CNI plugin wired it.
import type { IpAddress } from './address.js';

/** Recorded on disk before the pod is wired and removed after it is gone: the address is taken while it exists. */
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
  /** Host side of the veth: name, and index in the node's namespace (0 before it exists). */
  readonly hostInterface: string;
  readonly ifindex: number;
  readonly mtu: number;
  /** Number of the port block, 0-based in the NAT port range; block 0 is the node's own. */
  readonly block: number;
  /** RFC 3339. */
  readonly created: string;
}
