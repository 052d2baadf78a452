// Which addresses a new pod gets. Pure.
import { addressAt, type Cidr, cidrSize, contains, type Family, familyOf, type IpAddress } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import type { ClusterNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import { CNI_CODES, CniError } from './cni-error.js';
import { ExhaustedError } from './exhausted.js';

export interface AllocateAddressesInput {
  readonly network: ClusterNetwork;
  readonly node: Node;
  readonly endpoints: readonly Endpoint[];
  /** Where the last search of a CIDR ended: a released address rests until the others had their turn. */
  readonly cursors: Map<Cidr, bigint>;
  /** Addresses that the pod has to get; of a family without one, any will do. */
  readonly wanted?: readonly IpAddress[];
}

/**
 * One address of each family that the cluster carries and the node has a pod CIDR for. Throws ExhaustedError when none
 * is left, and CniError when a wanted one cannot be had.
 */
export function allocateAddresses(input: AllocateAddressesInput): IpAddress[] {
  const { node, wanted = [] } = input;
  const taken = takenAddresses(input);
  const families = carriedFamilies(input);
  if (families.length === 0) throw new ExhaustedError(`node ${node.name} has no pod CIDR of a family that is carried`);
  const stray = wanted.find((address) => !families.includes(familyOf(address)));
  if (stray !== undefined) throw refuse(stray, `node ${node.name} carries no ${familyOf(stray)}`);
  return families.map((family) => {
    const cidrs = node.podCIDRs.filter((cidr) => familyOf(cidr) === family);
    const own = wanted.find((address) => familyOf(address) === family);
    return own === undefined ? chooseAddress(input, cidrs, taken) : checkWanted(own, { node, cidrs, taken });
  });
}

/** Throws CniError when somebody has one of the addresses, which others chose. */
export function checkFree(addresses: readonly IpAddress[], input: Omit<AllocateAddressesInput, 'cursors'>): void {
  const taken = takenAddresses(input);
  const double = addresses.find((address) => taken.has(address));
  if (double !== undefined) throw refuse(double, 'somebody has it already', CNI_CODES.taken);
}

function takenAddresses({ node, endpoints }: Omit<AllocateAddressesInput, 'cursors'>): Set<IpAddress> {
  return new Set([...endpoints.flatMap(({ addresses }) => addresses), ...node.addresses]);
}

/** In the order of the node's pod CIDRs: the first address is the one that the cluster prefers. */
function carriedFamilies({ network, node }: AllocateAddressesInput): Family[] {
  const families = new Set(node.podCIDRs.map((cidr) => familyOf(cidr)));
  return [...families].filter((family) => network.families[family] !== undefined);
}

function chooseAddress(
  { node, cursors }: AllocateAddressesInput,
  cidrs: readonly Cidr[],
  taken: ReadonlySet<IpAddress>,
): IpAddress {
  for (const cidr of cidrs) {
    const address = nextFree(cidr, taken, cursors);
    if (address !== undefined) return address;
  }
  throw new ExhaustedError(`no free address in the pod CIDRs ${cidrs.join(', ')} of node ${node.name}`);
}

interface Place {
  readonly node: Node;
  readonly cidrs: readonly Cidr[];
  readonly taken: ReadonlySet<IpAddress>;
}

function checkWanted(address: IpAddress, { node, cidrs, taken }: Place): IpAddress {
  const cidr = cidrs.find((each) => contains(each, address));
  if (cidr === undefined) throw refuse(address, `it is outside the pod CIDRs ${cidrs.join(', ')} of node ${node.name}`);
  if (taken.has(address)) throw refuse(address, 'somebody has it already', CNI_CODES.taken);
  const ends = [addressAt(cidr, 0n), familyOf(cidr) === 'ipv4' ? addressAt(cidr, cidrSize(cidr) - 1n) : undefined];
  if (ends.includes(address)) throw refuse(address, `it is the first or the last of ${cidr}, which no pod gets`);
  return address;
}

function refuse(address: IpAddress, reason: string, code: number = CNI_CODES.invalidConfig): CniError {
  return new CniError(code, `the address ${address} cannot be given: ${reason}`, 'nothing was changed');
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
