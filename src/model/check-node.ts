// What a Node must satisfy beside the ClusterNetwork and the other nodes.
import { type Cidr, cidrBytes, contains, FAMILIES, type Family, familyOf, type IpAddress } from './address.js';
import { CidrSet } from './cidr-set.js';
import type { Fault } from './fault.js';
import type { ClusterNetwork } from './network.js';
import type { Node } from './node.js';

const FAMILY_NAMES: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** Accepts nodes one after the other; addresses and pod CIDRs of an accepted one are taken. */
export class NodeCheck {
  /** The pod CIDRs of the cluster. */
  readonly #inside: CidrSet;
  readonly #network: ClusterNetwork | undefined;
  readonly #pods = new CidrSet();
  readonly #addresses = new Map<string, string>();

  constructor(network: ClusterNetwork | undefined) {
    this.#network = network;
    this.#inside = clusterPods(network);
  }

  /** Why the node is refused, or undefined. */
  accept(node: Node): Fault | undefined {
    const fault = this.#addressFault(node) ?? this.#cidrFault(node);
    if (fault !== undefined) return fault;
    for (const address of node.addresses) this.#addresses.set(address, node.name);
    for (const cidr of node.podCIDRs) this.#pods.add(cidr, node.name);
    return undefined;
  }

  /** Pod CIDRs of an accepted node that nobody can send to, because the node has no address of their family. */
  gaps(node: Node): Fault[] {
    return node.podCIDRs
      .filter((cidr) => this.#carries(cidr) && !node.addresses.some((address) => familyOf(address) === familyOf(cidr)))
      .map((cidr) => {
        const reason = `it has no ${FAMILY_NAMES[familyOf(cidr)]} address, so no route leads to its pods ${cidr}`;
        return { code: 'NoAddress', reason };
      });
  }

  #addressFault(node: Node): Fault | undefined {
    for (const address of node.addresses) {
      const owner = this.#addresses.get(address);
      if (owner !== undefined) {
        return { code: 'DuplicateAddress', reason: `its address ${address} is also the address of Node ${owner}` };
      }
      const pods = this.#inside.find(address);
      if (pods !== undefined) return insidePods(address, pods.cidr);
    }
    return undefined;
  }

  #cidrFault(node: Node): Fault | undefined {
    for (const cidr of node.podCIDRs) {
      const other = this.#pods.find(cidr);
      if (other !== undefined) {
        const reason = `its pod CIDR ${cidr} overlaps ${other.cidr} of Node ${other.owner}`;
        return { code: 'OverlappingCIDR', reason };
      }
      const outer = this.#inside.find(cidr)?.cidr;
      if (this.#carries(cidr) && (outer === undefined || !contains(outer, cidr))) {
        const all = this.#network?.families[familyOf(cidr)]?.podCIDRs.join(', ');
        return { code: 'CIDROutsideNetwork', reason: `its pod CIDR ${cidr} lies outside the ClusterNetwork's ${all}` };
      }
    }
    return undefined;
  }

  #carries(cidr: Cidr): boolean {
    return this.#network?.families[familyOf(cidr)] !== undefined;
  }
}

/** An address that is somebody's, but of a CIDR that only pods have addresses of. */
export function insidePods(address: IpAddress, cidr: Cidr): Fault {
  const reason = `its address ${address} lies inside the pod CIDR ${cidr} of the cluster`;
  return { code: 'AddressInsidePodCIDR', reason };
}

/** The pod CIDRs of the whole cluster; none without a ClusterNetwork. */
export function clusterPods(network: ClusterNetwork | undefined): CidrSet {
  const cidrs = FAMILIES.flatMap((family) => network?.families[family]?.podCIDRs ?? []);
  const set = new CidrSet();
  // Shortest prefix first: a CIDR inside another one adds nothing.
  for (const cidr of cidrs.sort((a, b) => cidrBytes(a).length - cidrBytes(b).length)) set.add(cidr, 'ClusterNetwork');
  return set;
}
