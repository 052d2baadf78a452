// An endpoint as people see it: the pod's record joined with its rows in the endpoints map.
import type { AgentState } from '../../api/protocol.js';
import type { IpAddress } from '../../model/address.js';
import type { Endpoint, PortBlocks } from '../../model/endpoint.js';
import type { PortRange } from '../../model/network.js';
import { portsOf } from '../../model/port-blocks.js';
import type { PortBlock } from './nat-owner.js';
import { type PodName, podName } from './pods.js';

/** struct endpoint, as decoded. */
export interface EndpointValue {
  readonly flags: number;
  readonly ifindex: number;
  readonly block_size: number;
  readonly block_count: number;
  /** First ports; only so many as block_count says are blocks. */
  readonly blocks: readonly number[];
  readonly nat_address: IpAddress;
}

/** A row of the endpoints map. */
export interface EndpointRow {
  readonly key: IpAddress;
  readonly value: EndpointValue;
}

/** An item of EndpointList. */
export interface EndpointItem {
  readonly pod: PodName;
  readonly addresses: readonly IpAddress[];
  /** Of which the pod owns ports. A flat family uses them only where a service needs them. */
  readonly natAddresses: readonly IpAddress[];
  /** Of any of them, ends included, in the order in which they were given. */
  readonly ports: readonly PortRange[];
  /** Numbers of the blocks, by translation address. */
  readonly nat: readonly PortBlocks[];
  readonly hostInterface: string;
  /** Whether every address is in the datapath. */
  readonly ready: boolean;
  readonly ageSeconds: number;
  readonly mac: string;
  readonly mtu: number;
  readonly ifindex: number;
  readonly podUID: string;
  readonly containerID: string;
  readonly interfaceName: string;
  readonly netns: string;
  /** Whether another CNI plugin made the veth and gave the addresses. */
  readonly chained: boolean;
  /** RFC 3339. */
  readonly created: string;
}

const HOST_FLAG = 'host';

/** Every block of a row; one without ports when it owns none. `flags`: names of its bits. */
export function portBlocks({ key, value }: EndpointRow, flags: readonly string[]): PortBlock[] {
  const { nat_address: natAddress, block_size: count, block_count: blocks } = value;
  const row = { address: key, host: flags.includes(HOST_FLAG), natAddress };
  if (blocks === 0) return [{ ...row, first: 0, count: 0, index: 0 }];
  return value.blocks.slice(0, blocks).map((first, index) => ({ ...row, first, count, index }));
}

/** `blocks`: one of each address of the pod. `now`: milliseconds of the wall clock. */
export function viewEndpoint(
  record: Endpoint,
  { state, blocks, now }: { state: AgentState; blocks: ReadonlyMap<IpAddress, PortBlock>; now: number },
): EndpointItem {
  const { addresses, nat, hostInterface, mac, mtu, ifindex, podUID, containerID, interfaceName, netns, created } =
    record;
  const rows = addresses.map((address) => blocks.get(address));
  const numbers = [...new Set(nat.flatMap((one) => one.blocks))];
  return {
    pod: podName(record),
    addresses,
    natAddresses: rows.flatMap((row) => (row !== undefined && ownsPorts(row) ? [row.natAddress] : [])),
    ports: numbers
      .map((block) => portsOf(state, block))
      .map(({ first, count }) => ({ first, last: first + count - 1 })),
    nat,
    hostInterface,
    ready: rows.every((row) => row !== undefined),
    ageSeconds: Math.max(0, Math.floor((now - Date.parse(created)) / 1000)),
    chained: record.chained === true,
    ...{ mac, mtu, ifindex, podUID, containerID, interfaceName, netns, created },
  };
}

function ownsPorts({ natAddress, count }: PortBlock): boolean {
  return count > 0 && natAddress !== '::';
}
