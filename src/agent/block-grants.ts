// The grants that the compiled endpoints put in force: exactly what the datapath will let out.
import { UNSPECIFIED } from '../datapath/node-address.js';
import type { Table } from '../datapath/table.js';
import { ENDPOINT_FLAGS, type Endpoint as EndpointEntry } from '../datapath/types.gen.js';
import type { BlockGrant, BlockOwner, GrantedAddress } from '../model/block-grant.js';
import type { Endpoint } from '../model/endpoint.js';

export interface BlockGrantsInput {
  readonly table: Table<string, EndpointEntry>;
  readonly endpoints: readonly Endpoint[];
  readonly node: string;
  readonly clusterID: string;
}

/** One grant a block: the node's, and one for each pod. */
export function blockGrants({ table, endpoints, node, clusterID }: BlockGrantsInput): BlockGrant[] {
  const owners = new Map(
    endpoints.flatMap((endpoint) => endpoint.addresses.map((address) => [address, endpoint] as const)),
  );
  const grants = new Map<string, BlockGrant & { addresses: GrantedAddress[] }>();
  for (const [inside, entry] of table.values()) {
    if (entry.port_count === 0 || entry.nat_address === UNSPECIFIED) continue;
    const owner = ownerOf(entry, { pod: owners.get(inside), node });
    if (owner === undefined) continue;
    const name = `${entry.port_first} ${JSON.stringify(owner)}`;
    const ports = { first: entry.port_first, count: entry.port_count };
    const grant = grants.get(name) ?? { ports, addresses: [], owner, node, clusterID };
    grant.addresses.push({ inside, outside: entry.nat_address });
    grants.set(name, grant);
  }
  return [...grants.values()];
}

function ownerOf(
  { flags }: EndpointEntry,
  { pod, node }: { pod: Endpoint | undefined; node: string },
): BlockOwner | undefined {
  if ((flags & ENDPOINT_FLAGS.ENDPOINT_HOST) !== 0) return { kind: 'Node', name: node };
  if (pod === undefined) return undefined;
  return { kind: 'Pod', namespace: pod.namespace, name: pod.pod, uid: pod.podUID, containerID: pod.containerID };
}
