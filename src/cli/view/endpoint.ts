// An endpoint as people see it: the pod's record joined with its rows in the endpoints map.
import type { AgentState } from '../../api/protocol.js';
import type { IpAddress } from '../../model/address.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { PortBlock } from './nat-owner.js';
import { type PodName, podName } from './pods.js';

/** struct endpoint, as decoded. */
export interface EndpointValue {
  readonly flags: number;
  readonly ifindex: number;
  readonly port_first: number;
  readonly port_count: number;
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
  /** Ports of the translation addresses, ends included. */
  readonly ports: { readonly first: number; readonly last: number };
  readonly block: number;
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
  /** RFC 3339. */
  readonly created: string;
}

const HOST_FLAG = 'host';

/** `flags`: names of the bits of a row. */
export function portBlock({ key, value }: EndpointRow, flags: readonly string[]): PortBlock {
  const { nat_address: natAddress, port_first: first, port_count: count } = value;
  return { address: key, host: flags.includes(HOST_FLAG), natAddress, first, count };
}

/** `blocks`: by address of the pod. `now`: milliseconds of the wall clock. */
export function viewEndpoint(
  record: Endpoint,
  { state, blocks, now }: { state: AgentState; blocks: ReadonlyMap<IpAddress, PortBlock>; now: number },
): EndpointItem {
  const { addresses, block, hostInterface, mac, mtu, ifindex, podUID, containerID, interfaceName, netns, created } =
    record;
  const rows = addresses.map((address) => blocks.get(address));
  const first = state.natPorts.first + block * state.blockSize;
  return {
    pod: podName(record),
    addresses,
    natAddresses: rows.flatMap((row) => (row !== undefined && ownsPorts(row) ? [row.natAddress] : [])),
    ports: { first, last: first + state.blockSize - 1 },
    block,
    hostInterface,
    ready: rows.every((row) => row !== undefined),
    ageSeconds: Math.max(0, Math.floor((now - Date.parse(created)) / 1000)),
    ...{ mac, mtu, ifindex, podUID, containerID, interfaceName, netns, created },
  };
}

function ownsPorts({ natAddress, count }: PortBlock): boolean {
  return count > 0 && natAddress !== '::';
}
