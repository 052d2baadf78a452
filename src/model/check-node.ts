// What a Node must satisfy beside the ClusterNetwork and the other nodes.
import { type Cidr, cidrBytes, contains, FAMILIES, type Family, familyOf } from './address.js';
import { CidrSet } from './cidr-set.js';
import type { ClusterNetwork } from './network.js';
import type { Node } from './node.js';

const FAMILY_NAMES: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** Accepts nodes one after the other; addresses and pod CIDRs of an accepted one are taken. */
export class NodeCheck {
  /** The pod CIDRs of the cluster. */
  readonly inside: CidrSet;
  readonly #network: ClusterNetwork | undefined;
  readonly #pods = new CidrSet();
  readonly #addresses = new Map<string, string>();

  constructor(network: ClusterNetwork | undefined) {
    this.#network = network;
    this.inside = clusterPods(network);
  }

  /** Why the node is refused, or undefined. */
  accept(node: Node): string | undefined {
    const reason = this.#addressFault(node) ?? this.#cidrFault(node);
    if (reason !== undefined) return reason;
    for (const address of node.addresses) this.#addresses.set(address, node.name);
    for (const cidr of node.podCIDRs) this.#pods.add(cidr, node.name);
    return undefined;
  }

  /** Pod CIDRs of an accepted node that nobody can send to, because the node has no address of their family. */
  gaps(node: Node): string[] {
    return node.podCIDRs
      .filter((cidr) => this.#carries(cidr) && !node.addresses.some((address) => familyOf(address) === familyOf(cidr)))
      .map((cidr) => `it has no ${FAMILY_NAMES[familyOf(cidr)]} address, so no route leads to its pods ${cidr}`);
  }

  #addressFault(node: Node): string | undefined {
    for (const address of node.addresses) {
      const owner = this.#addresses.get(address);
      if (owner !== undefined) return `its address ${address} is also the address of Node ${owner}`;
      const pods = this.inside.find(address);
      if (pods !== undefined) return `its address ${address} lies inside the pod CIDR ${pods.cidr} of the cluster`;
    }
    return undefined;
  }

  #cidrFault(node: Node): string | undefined {
    for (const cidr of node.podCIDRs) {
      const other = this.#pods.find(cidr);
      if (other !== undefined) return `its pod CIDR ${cidr} overlaps ${other.cidr} of Node ${other.owner}`;
      const outer = this.inside.find(cidr)?.cidr;
      if (this.#carries(cidr) && (outer === undefined || !contains(outer, cidr))) {
        const all = this.#network?.families[familyOf(cidr)]?.podCIDRs.join(', ');
        return `its pod CIDR ${cidr} lies outside the ClusterNetwork's ${all}`;
      }
    }
    return undefined;
  }

  #carries(cidr: Cidr): boolean {
    return this.#network?.families[familyOf(cidr)] !== undefined;
  }
}

function clusterPods(network: ClusterNetwork | undefined): CidrSet {
  const cidrs = FAMILIES.flatMap((family) => network?.families[family]?.podCIDRs ?? []);
  const set = new CidrSet();
  // Shortest prefix first: a CIDR inside another one adds nothing.
  for (const cidr of cidrs.sort((a, b) => cidrBytes(a).length - cidrBytes(b).length)) set.add(cidr, 'ClusterNetwork');
  return set;
}
