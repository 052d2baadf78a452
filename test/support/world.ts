// One node in a namespace of its own, as packet tests see it: two pods, the uplink, and routes to everywhere.
//
//   pod a ---- ist-a \                     / router 192.0.2.1
//                     node 192.0.2.11 -- ist-up
//   pod b ---- ist-b /                     \ node 192.0.2.12 (pods 10.244.2.0/24)
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { eth, type Packet } from './packet.js';

/** The addresses of one family, by who has them. */
export interface Addresses {
  readonly a: string;
  readonly b: string;
  /** Inside the cluster and this node's, but no pod's. */
  readonly nobody: string;
  /** A pod of the other node. */
  readonly far: string;
  /** Inside the cluster, of no node. */
  readonly unowned: string;
  readonly node: string;
  readonly otherNode: string;
  readonly router: string;
  readonly remote: string;
  readonly remote2: string;
  /** A service's cluster address. */
  readonly vip: string;
  readonly gateway: string;
  /** Outside, and no route leads there. */
  readonly noRoute: string;
}

export const V4: Addresses = {
  a: '10.244.1.2',
  b: '10.244.1.3',
  nobody: '10.244.1.99',
  far: '10.244.2.5',
  unowned: '10.244.77.7',
  node: '192.0.2.11',
  otherNode: '192.0.2.12',
  router: '192.0.2.1',
  remote: '198.51.100.9',
  remote2: '203.0.113.7',
  vip: '10.96.0.10',
  gateway: '169.254.1.1',
  noRoute: '198.18.0.1',
};

export const V6: Addresses = {
  a: 'fd00:1:1:1::2',
  b: 'fd00:1:1:1::3',
  nobody: 'fd00:1:1:1::99',
  far: 'fd00:1:1:2::5',
  unowned: 'fd00:1:1:77::7',
  node: '2001:db8:2::11',
  otherNode: '2001:db8:2::12',
  router: '2001:db8:2::1',
  remote: '2001:db8:9::9',
  remote2: '2001:db8:a::7',
  vip: 'fd00:96::10',
  gateway: 'fe80::1',
  noRoute: '2001:db8:dead::1',
};

export const FAMILIES = [
  ['IPv4', V4],
  ['IPv6', V6],
] as const;

export const MAC = {
  a: '02:00:00:00:0a:02',
  b: '02:00:00:00:0b:02',
  gateway: '02:69:73:74:00:01',
  uplink: '02:00:00:00:00:11',
  router: '02:00:00:00:00:99',
} as const;

/** First ports of the blocks; each has BLOCK ports. */
export const PORTS = { node: 36_864, a: 37_120, b: 37_376 } as const;
export const BLOCK = 256;
export const NODE_PORT = 30_080;

export type Device = 'a' | 'b' | 'uplink';
export const HOOKS: Readonly<Record<Device, string>> = {
  a: 'from_container',
  b: 'from_container',
  uplink: 'from_netdev',
};

/** A frame as it comes in from a device. */
export function from(device: Device): Packet {
  if (device === 'uplink') return eth({ source: MAC.router, destination: MAC.uplink });
  return eth({ source: MAC[device], destination: MAC.gateway });
}

/** A frame as it arrives in a pod, by the datapath's own hand. */
export function into(device: 'a' | 'b'): Packet {
  return eth({ source: MAC.gateway, destination: MAC[device] });
}

/** The frame of an answer to what came in from a device: Ethernet addresses change places. */
export function back(device: Device): Packet {
  if (device === 'uplink') return eth({ source: MAC.uplink, destination: MAC.router });
  return into(device);
}

/** Makes the devices and routes in the current namespace. Returns ifindexes by device. */
export function createWorld(): Record<Device, number> {
  for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv6/conf/default/forwarding']) {
    writeFileSync(`/proc/sys/net/${name}`, '1');
  }
  const pair = (name: string, mac: string) => [
    `link add ${name} address ${mac} type veth peer name ${name}-peer`,
    `link set ${name} up`,
    `link set ${name}-peer up`,
  ];
  const lines = [
    ...['link set lo up', ...pair('ist-up', MAC.uplink), ...pair('ist-a', MAC.gateway), ...pair('ist-b', MAC.gateway)],
    ...addresses(V4, 24),
    ...addresses(V6, 64),
  ];
  execFileSync('ip', ['-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') });
  return { a: ifindexOf('ist-a'), b: ifindexOf('ist-b'), uplink: ifindexOf('ist-up') };
}

function addresses({ node, router, otherNode, far, a, b, noRoute }: Addresses, bits: number): string[] {
  const nodad = bits === 64 ? ' nodad' : '';
  const farCidr = far.replace(/5$/, bits === 64 ? '/64' : '0/24');
  return [
    `addr add ${node}/${bits} dev ist-up${nodad}`,
    `route add default via ${router}`,
    `route add ${farCidr} via ${otherNode}`,
    `route add ${a} dev ist-a`,
    `route add ${b} dev ist-b`,
    `route add unreachable ${noRoute}`,
  ];
}

function ifindexOf(name: string): number {
  const [link] = JSON.parse(execFileSync('ip', ['-json', 'link', 'show', name], { encoding: 'utf8' }));
  return (link as { ifindex: number }).ifindex;
}
