// A node in the namespace of this process, for programs that run in place: two pods, an uplink, a second node, outside.
//
//   pod a ---- ist-a \                     / router 192.0.2.1
//                     node 192.0.2.11 -- ist-up
//   pod b ---- ist-b /                     \ node 192.0.2.12 (pods 10.244.2.0/24)
import { writeFileSync } from 'node:fs';
import type { Family } from '../../model/address.js';
import type { Endpoint } from '../../model/endpoint.js';
import type { LinkInfo } from '../../net/native.js';
import { loadNativeNet } from '../../net/native.js';
import { withNetlink } from '../../net/netns.js';
import { batch } from '../../testbed/namespaces.js';
import type { AddressPair, CidrPair, TestNode } from '../../testbed/node.js';

export type Pod = 'a' | 'b';

const PREFIX_LENGTHS = { ipv4: 24, ipv6: 64 } as const;
const ROUTER: AddressPair = { ipv4: '192.0.2.1', ipv6: '2001:db8:2::1' };
const ROUTER_MAC = '02:00:00:00:00:99';
/** Of the pods' side; the node's side has one for all. */
const POD_MACS = { a: '02:00:00:00:0a:02', b: '02:00:00:00:0b:02' } as const;
const GATEWAY_MAC = '02:69:73:74:00:01';
const UPLINK_MAC = '02:00:00:00:00:11';
const MTU = 1500;
/** Of the node's NAT ports; the first one is its own. */
const BLOCKS = { a: 1, b: 2 } as const;

export const CLUSTER_CIDRS: CidrPair = { ipv4: '10.244.0.0/16', ipv6: 'fd00:10:244::/48' };
export const NODES: readonly TestNode[] = [1, 2].map((number) => ({
  name: `n${number}`,
  netns: '',
  addresses: { ipv4: `192.0.2.1${number}`, ipv6: `2001:db8:2::1${number}` },
  podCIDRs: { ipv4: `10.244.${number}.0/24`, ipv6: `fd00:10:244:${number}::/64` },
  stateDir: '',
}));
/** A pod of the other node, a host outside, and a Service. */
export const FAR: AddressPair = { ipv4: '10.244.2.5', ipv6: 'fd00:10:244:2::5' };
export const REMOTE: AddressPair = { ipv4: '198.51.100.9', ipv6: '2001:db8:9::9' };
export const POD_ADDRESSES: Readonly<Record<Pod, AddressPair>> = {
  a: { ipv4: '10.244.1.2', ipv6: 'fd00:10:244:1::2' },
  b: { ipv4: '10.244.1.3', ipv6: 'fd00:10:244:1::3' },
};

export interface World {
  readonly uplink: LinkInfo;
  readonly pods: Readonly<Record<Pod, Endpoint>>;
  readonly gatewayMac: string;
  /** Of who is at the other end of the uplink. */
  readonly routerMac: string;
}

/** Throws when there is more than the loopback device: it changes the settings of the namespace. */
export async function createWorld(): Promise<World> {
  const net = loadNativeNet();
  const others = withNetlink(net, undefined, (netlink) => netlink.links().filter(({ name }) => name !== 'lo'));
  if (others.length > 0)
    throw new Error(
      `this network namespace is in use (${others.map(({ name }) => name).join(', ')}): nothing was changed; ` +
        'run it by npm run bench:guard, in one of its own',
    );
  for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv6/conf/default/forwarding'])
    writeFileSync(`/proc/sys/net/${name}`, '1');
  await batch(undefined, [...devices(), ...addresses('ipv4'), ...addresses('ipv6')]);
  const link = (device: string): LinkInfo => {
    const found = withNetlink(net, undefined, (netlink) => netlink.link(device));
    if (!found) throw new Error(`there is no ${device}`);
    return found;
  };
  return {
    uplink: link('ist-up'),
    pods: { a: podOf('a', link('ist-a').ifindex), b: podOf('b', link('ist-b').ifindex) },
    gatewayMac: GATEWAY_MAC,
    routerMac: ROUTER_MAC,
  };
}

function devices(): string[] {
  const pair = (name: string, mac: string): string[] => [
    `link add ${name} address ${mac} type veth peer name ${name}-peer`,
    `link set ${name} up`,
    `link set ${name}-peer up`,
  ];
  return [
    'link set lo up',
    ...pair('ist-up', UPLINK_MAC),
    ...pair('ist-a', GATEWAY_MAC),
    ...pair('ist-b', GATEWAY_MAC),
  ];
}

function addresses(family: Family): string[] {
  const [own, other] = NODES;
  const nodad = family === 'ipv6' ? ' nodad' : '';
  return [
    `addr add ${own?.addresses[family]}/${PREFIX_LENGTHS[family]} dev ist-up${nodad}`,
    `neigh add ${ROUTER[family]} lladdr ${ROUTER_MAC} dev ist-up nud permanent`,
    `neigh add ${other?.addresses[family]} lladdr ${ROUTER_MAC} dev ist-up nud permanent`,
    `route add default via ${ROUTER[family]}`,
    `route add ${other?.podCIDRs[family]} via ${other?.addresses[family]}`,
    ...(['a', 'b'] as const).map((pod) => `route add ${POD_ADDRESSES[pod][family]} dev ist-${pod}`),
  ];
}

function podOf(pod: Pod, ifindex: number): Endpoint {
  const { ipv4, ipv6 } = POD_ADDRESSES[pod];
  const own = NODES[0]?.addresses ?? ROUTER;
  return {
    containerID: pod,
    interfaceName: 'eth0',
    netns: '',
    namespace: 'bench',
    pod,
    podUID: pod,
    addresses: [ipv4, ipv6],
    mac: POD_MACS[pod],
    hostInterface: `ist-${pod}`,
    ifindex,
    mtu: MTU,
    nat: [own.ipv4, own.ipv6].map((address) => ({ address, blocks: [BLOCKS[pod]] })),
    created: new Date(0).toISOString(),
  };
}
