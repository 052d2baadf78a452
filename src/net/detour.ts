// The detour of fragments: namespaces whose kernel puts together what came out of order and cuts it again, and one that
// cuts what is larger than the next hop takes.
import { spawnSync } from 'node:child_process';
import type { LinkInfo, NativeNet, Netlink } from './native.js';
import { listNamespaces, namespacePath, withNetlink } from './netns.js';

/** One namespace each, so that a flood from the wire never takes the memory that fragments of pods need. */
export const DETOUR_DIRECTIONS = ['pods', 'wire'] as const;
export type DetourDirection = (typeof DETOUR_DIRECTIONS)[number];
/** The namespace where IPv4 packets are cut that may be. */
export const CUT = 'cut';
const DETOUR_NAMES = [...DETOUR_DIRECTIONS, CUT] as const;
export type DetourName = (typeof DETOUR_NAMES)[number];

/** MAC of the namespaces' side of the veth, where the programs send fragments to. */
export const DETOUR_MAC = '02:69:73:74:00:02';
const NODE_MAC = '02:69:73:74:00:03';
const INNER_DEVICE = 'eth0';
/** The kernel's largest: what was put together must fit before it is cut again. */
const MTU = 65535;
/** Nobody has these addresses: they only stand for the node's side of the veth. */
const GATEWAYS = { '0.0.0.0/0': '169.254.1.1', '::/0': 'fe80::1' };

/** Sizes that packets are cut to, bytes. A packet's mark says which one; enum cut_size in bpf/lib/types.h. */
export const CUT_SIZES = [576, 1280, 1500] as const;

/** Bytes for fragments that wait in one namespace, and how long they wait, seconds. */
const MEMORY = 64 << 20;
const WAIT = 1;

export interface DetourEnd {
  readonly name: DetourName;
  readonly namespace: string;
  /** The node's side. */
  readonly device: string;
  readonly ifindex: number;
  /** Whether it was there already. */
  readonly adopted: boolean;
}

export interface DetourOptions {
  readonly net: NativeNet;
  /** In the node's namespace. */
  readonly node: Netlink;
  readonly nodeName: string;
}

/** The namespace has an error of its own making, or a program that makes namespaces is not there. */
export class DetourError extends Error {
  readonly code = 'ERR_DETOUR';
}

export function detourNamespace(nodeName: string, name: DetourName): string {
  return `ist-fr-${nodeName}-${name}`;
}

/** All names that a node of this name may have left behind. */
export function detourNamespaces(nodeName: string): string[] {
  return DETOUR_NAMES.map((name) => detourNamespace(nodeName, name));
}

/** Takes over the one that is there and whole, or makes it anew. Reassembly is not switched on yet. */
export function buildDetour(options: DetourOptions, name: DetourName): DetourEnd {
  const namespace = detourNamespace(options.nodeName, name);
  const device = `ist-fr-${name}`;
  const existing = findDetour(options, namespace, device);
  if (existing === undefined) removeDetour(options, name);
  const link = existing ?? createDetour(options, namespace, device);
  return { name, namespace, device, ifindex: link.ifindex, adopted: existing !== undefined };
}

/** Whether there was anything to remove. */
export function removeDetour({ node, nodeName }: DetourOptions, name: DetourName): boolean {
  const namespace = detourNamespace(nodeName, name);
  const link = node.link(`ist-fr-${name}`);
  if (link !== undefined) node.deleteLink(link.ifindex);
  if (!listNamespaces().includes(namespace)) return link !== undefined;
  runIp(['netns', 'delete', namespace]);
  return true;
}

/** The routes that cut: one table for each size, chosen by the packet's mark. What is there already stays. */
export function routeCuts({ namespace, adopted }: DetourEnd): void {
  if (adopted) return;
  const lines = CUT_SIZES.flatMap((size) => [
    `rule add fwmark ${size} lookup ${size}`,
    `route add default via ${GATEWAYS['0.0.0.0/0']} dev ${INNER_DEVICE} onlink mtu ${size} table ${size}`,
  ]);
  runIp(['-4', '-netns', namespace, '-batch', '-'], lines.map((line) => `${line}\n`).join(''));
}

/** Limits of the kernel's two reassemblers: its defaults are full after a few hundred incomplete datagrams. */
export function limitDetour(net: NativeNet, namespace: string): void {
  withNetlink(net, namespacePath(namespace), (inner) => {
    const set = (name: string, value: number): void => inner.writeSysctl(name, String(value));
    set('net.ipv4.ipfrag_high_thresh', MEMORY);
    set('net.ipv4.ipfrag_low_thresh', MEMORY - (MEMORY >> 2));
    set('net.ipv4.ipfrag_time', WAIT);
    // Many datagrams between two fragments are normal here: all of a node's traffic shares a queue by address.
    set('net.ipv4.ipfrag_max_dist', 0);
    set('net.netfilter.nf_conntrack_frag6_high_thresh', MEMORY);
    set('net.netfilter.nf_conntrack_frag6_low_thresh', MEMORY - (MEMORY >> 2));
    set('net.netfilter.nf_conntrack_frag6_timeout', WAIT);
  });
}

/** The node's side, when both ends are there and belong together. */
function findDetour({ net, node }: DetourOptions, namespace: string, device: string): LinkInfo | undefined {
  const link = node.link(device);
  if (link === undefined || !listNamespaces().includes(namespace)) return undefined;
  const inner = withNetlink(net, namespacePath(namespace), (netlink) => netlink.link(INNER_DEVICE));
  return inner !== undefined && inner.peer === link.ifindex && link.peer === inner.ifindex ? link : undefined;
}

function createDetour(options: DetourOptions, namespace: string, device: string): LinkInfo {
  const { net, node } = options;
  runIp(['netns', 'add', namespace]);
  return withNetlink(net, namespacePath(namespace), (inner) => {
    // No addresses at all: nothing here is local, so everything is forwarded, and nothing speaks for itself.
    inner.writeSysctl('net.ipv6.conf.default.addr_gen_mode', '1');
    const link = node.addVeth({
      name: device,
      mac: NODE_MAC,
      peerName: INNER_DEVICE,
      peerMac: DETOUR_MAC,
      mtu: MTU,
      peerNamespace: inner,
    });
    node.writeSysctl(`net.ipv6.conf.${device}.disable_ipv6`, '1');
    configureRouter(inner);
    node.setUp(link.ifindex);
    routeBack(inner);
    return link;
  });
}

function configureRouter(inner: Netlink): void {
  // The kernel makes the table that routes are checked with when the loopback device gets its address.
  const loopback = inner.link('lo');
  if (loopback !== undefined) inner.setUp(loopback.ifindex);
  inner.writeSysctl('net.ipv4.ip_forward', '1');
  inner.writeSysctl('net.ipv6.conf.all.forwarding', '1');
  for (const scope of ['all', INNER_DEVICE]) {
    inner.writeSysctl(`net.ipv4.conf.${scope}.rp_filter`, '0');
    inner.writeSysctl(`net.ipv4.conf.${scope}.send_redirects`, '0');
  }
}

/** Everything leaves by the veth it came from. */
function routeBack(inner: Netlink): void {
  const ifindex = inner.link(INNER_DEVICE)?.ifindex;
  if (ifindex === undefined) throw new DetourError(`the namespace's side of the veth did not appear`);
  inner.setUp(ifindex);
  for (const [destination, gateway] of Object.entries(GATEWAYS)) {
    inner.replaceNeighbour({ ifindex, address: gateway, mac: NODE_MAC });
    inner.replaceRoute({ destination, gateway, ifindex, onlink: true });
  }
}

function runIp(argv: readonly string[], input = ''): void {
  const { status, stderr, error } = spawnSync('ip', argv, { encoding: 'utf8', input });
  if (status === 0) return;
  throw new DetourError(`'ip ${argv.join(' ')}' failed: ${error?.message ?? stderr.trim()}`);
}
