// The grants that the compiled endpoints put in force: exactly what the datapath will let out.
import { UNSPECIFIED } from '../datapath/node-address.js';
import type { Table } from '../datapath/table.js';
import { ENDPOINT_FLAGS, type Endpoint as EndpointEntry } from '../datapath/types.gen.js';
import { type BlockGrant, type BlockOwner, type GrantedAddress, ownerText } from '../model/block-grant.js';
import type { Endpoint } from '../model/endpoint.js';

export interface BlockGrantsInput {
  readonly table: Table<string, EndpointEntry>;
  readonly endpoints: readonly Endpoint[];
  readonly node: string;
  readonly clusterID: string;
}

/** One grant a block and owner: those of the node, and those of each pod. */
export function blockGrants({ table, endpoints, node, clusterID }: BlockGrantsInput): BlockGrant[] {
  const owners = new Map(
    endpoints.flatMap((endpoint) => endpoint.addresses.map((address) => [address, endpoint] as const)),
  );
  const grants = new Map<string, BlockGrant & { addresses: GrantedAddress[] }>();
  for (const [inside, entry] of table.values()) {
    if (entry.nat_address === UNSPECIFIED) continue;
    const owner = ownerOf(entry, { pod: owners.get(inside), node });
    if (owner === undefined) continue;
    for (const first of entry.blocks.slice(0, entry.block_count)) {
      const name = `${first} ${JSON.stringify(owner)}`;
      const ports = { first, count: entry.block_size };
      const grant = grants.get(name) ?? { ports, addresses: [], owner, node, clusterID };
      grant.addresses.push({ inside, outside: entry.nat_address });
      grants.set(name, grant);
    }
  }
  return [...grants.values()];
}

/** Whether each address of a grant has the same ports of the same owner in other grants, too. */
export function isCovered(grant: BlockGrant, by: readonly BlockGrant[]): boolean {
  const covered = new Set(by.flatMap(rightsOf));
  return rightsOf(grant).every((right) => covered.has(right));
}

function rightsOf({ ports, addresses, owner }: BlockGrant): string[] {
  return addresses.map(({ inside, outside }) =>
    JSON.stringify([ports.first, ports.count, inside, outside, ownerText(owner)]),
  );
}

function ownerOf(
  { flags }: EndpointEntry,
  { pod, node }: { pod: Endpoint | undefined; node: string },
): BlockOwner | undefined {
  if ((flags & ENDPOINT_FLAGS.ENDPOINT_HOST) !== 0) return { kind: 'Node', name: node };
  if (pod === undefined) return undefined;
  return { kind: 'Pod', namespace: pod.namespace, name: pod.pod, uid: pod.podUID, containerID: pod.containerID };
}
