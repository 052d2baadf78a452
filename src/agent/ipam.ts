// Which addresses a new pod gets. Pure.
import { addressAt, type Cidr, cidrSize, FAMILIES, familyOf, type IpAddress } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import type { ClusterNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import { ExhaustedError } from './exhausted.js';

export interface AllocateAddressesInput {
  readonly network: ClusterNetwork;
  readonly node: Node;
  readonly endpoints: readonly Endpoint[];
  /** Where the last search of a CIDR ended: a released address rests until the others had their turn. */
  readonly cursors: Map<Cidr, bigint>;
}

/** One address of each family that the cluster carries and the node has a pod CIDR for. Throws ExhaustedError. */
export function allocateAddresses(input: AllocateAddressesInput): IpAddress[] {
  const { network, node, endpoints } = input;
  const taken = new Set([...endpoints.flatMap(({ addresses }) => addresses), ...node.addresses]);
  const families = FAMILIES.filter(
    (family) => network.families[family] !== undefined && node.podCIDRs.some((cidr) => familyOf(cidr) === family),
  );
  if (families.length === 0) throw new ExhaustedError(`node ${node.name} has no pod CIDR of a family that is carried`);
  return families.map((family) => {
    const cidrs = node.podCIDRs.filter((cidr) => familyOf(cidr) === family);
    for (const cidr of cidrs) {
      const address = nextFree(cidr, taken, input.cursors);
      if (address !== undefined) return address;
    }
    throw new ExhaustedError(`no free address in the pod CIDRs ${cidrs.join(', ')} of node ${node.name}`);
  });
}

/** Leaves out the first address and, in IPv4, the last: networks and broadcasts by habit of other equipment. */
function nextFree(cidr: Cidr, taken: ReadonlySet<IpAddress>, cursors: Map<Cidr, bigint>): IpAddress | undefined {
  const size = cidrSize(cidr);
  const usable = size - (familyOf(cidr) === 'ipv4' ? 2n : 1n);
  const start = cursors.get(cidr) ?? 0n;
  // A pod more than the taken ones is enough to look at, however large the CIDR.
  const tries = usable < BigInt(taken.size + 1) ? usable : BigInt(taken.size + 1);
  for (let step = 0n; step < tries; step++) {
    const offset = ((start + step) % usable) + 1n;
    const address = addressAt(cidr, offset);
    if (address === undefined || taken.has(address)) continue;
    cursors.set(cidr, offset % usable);
    return address;
  }
  return undefined;
}
