// The links, addresses, routes and neighbours that connect a pod with its node.

import { GATEWAYS } from '../datapath/config.js';
import type { Datapath } from '../datapath/datapath.js';
import { familyOf } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import type { NativeNet, Netlink } from '../net/native.js';
import { withNetlink } from '../net/netns.js';
import { limitBandwidth, missingLimit } from './bandwidth.js';
import { writeSetting } from './node-setup.js';
import type { Offloads } from './offloads.js';

/** MAC of the host side of every pod's veth: the gateway that the datapath answers for. */
export const GATEWAY_MAC = '02:69:73:74:00:01';

export interface Wiring {
  readonly net: NativeNet;
  /** In the node's namespace. */
  readonly node: Netlink;
  readonly datapath: Datapath;
  readonly offloads: Pick<Offloads, 'apply'>;
}

/** Something of a pod's wiring is missing or different. */
export class WiringError extends Error {
  readonly code = 'ERR_WIRING';
}

/**
 * Creates the veth and everything on it, and returns its index. The program is attached before the pod's side comes
 * up: no packet of the pod leaves unseen. Where `mayFilter`, it may be a filter for now: plugins behind this one find the
 * place taken where they would put a queue. Throws with nothing left behind.
 */
export function wire(wiring: Wiring, endpoint: Endpoint, mayFilter: boolean): number {
  const pod = wiring.net.openNetlink(endpoint.netns);
  let ifindex = 0;
  try {
    requireNoInterface(pod, endpoint);
    requireNoDefault(pod, endpoint);
    const link = wiring.node.addVeth({
      name: endpoint.hostInterface,
      mac: GATEWAY_MAC,
      peerName: endpoint.interfaceName,
      peerMac: endpoint.mac,
      mtu: endpoint.mtu,
      peerNamespace: pod,
    });
    ifindex = link.ifindex;
    prepareHostSide(wiring.node, endpoint);
    wiring.offloads.apply({ ...endpoint, pod, ifindex });
    if (mayFilter) wiring.datapath.attachNewContainer(endpoint.hostInterface, ifindex);
    else wiring.datapath.attachContainer(endpoint.hostInterface, ifindex);
    wiring.node.setUp(ifindex);
    configurePod(pod, endpoint);
    limitBandwidth({ node: wiring.node, pod, endpoint: { ...endpoint, ifindex } });
    connectHost(wiring.node, endpoint, ifindex);
    return ifindex;
  } catch (error) {
    if (ifindex !== 0) unwire(wiring, { ...endpoint, ifindex });
    throw error;
  } finally {
    pod.close();
  }
}

/** The kernel would refuse too, but in words about a veth of the node. */
function requireNoInterface(pod: Netlink, { interfaceName }: Endpoint): void {
  if (pod.link(interfaceName) === undefined) return;
  throw new WiringError(`the pod has an interface ${interfaceName} already, which exists since before this ADD`);
}

/** Replacing another network's default route would cut off what the pod has already. */
function requireNoDefault(pod: Netlink, { addresses }: Endpoint): void {
  const wanted = addresses.map(defaultOf);
  const taken = pod.routes().find(({ destination }) => wanted.includes(destination));
  if (taken === undefined) return;
  const device = pod.link(taken.ifindex)?.name ?? `device ${taken.ifindex}`;
  throw new WiringError(`the pod has a default route by ${device} already, and can have only one`);
}

/**
 * Removes the veth, and with it its addresses, routes and neighbours. Whether there was one. Programs go with their
 * device: to take them off before would cost a grace period of the kernel, and leave a pod without them if that failed.
 */
export function unwire({ node, datapath }: Wiring, endpoint: Endpoint): boolean {
  const link = node.link(endpoint.hostInterface);
  const deleted = link !== undefined && node.deleteLink(link.ifindex);
  datapath.detachContainer(endpoint.hostInterface);
  return deleted;
}

/**
 * Brings what an agent with other settings, or with another uplink, has left up to date: offloads, and the queues of
 * limits, which must hold the largest packet. Throws when the pod's namespace is gone, or a limit is refused.
 */
export function renewWiring({ net, node, offloads }: Wiring, endpoint: Endpoint): void {
  if (node.link(endpoint.hostInterface)?.ifindex !== endpoint.ifindex) return;
  withNetlink(net, endpoint.netns, (pod) => {
    offloads.apply({ ...endpoint, pod });
    limitBandwidth({ node, pod, endpoint });
  });
}

/** Throws WiringError with the first thing that is not as wire() left it. */
export function checkWiring({ net, node, datapath }: Wiring, endpoint: Endpoint): void {
  checkHostSide(node, endpoint);
  checkDatapath(datapath, endpoint);
  withNetlink(net, endpoint.netns, (pod) => {
    checkPod(pod, endpoint);
    const missing = missingLimit({ node, pod, endpoint });
    if (missing !== undefined) throw new WiringError(missing);
  });
}

function checkHostSide(node: Netlink, endpoint: Endpoint): void {
  const { ifindex, addresses } = endpoint;
  checkHostDevice(node, endpoint);
  const routes = new Set(node.routes().flatMap((route) => (route.ifindex === ifindex ? route.destination : [])));
  const missing = addresses.map(hostPrefix).find((prefix) => !routes.has(prefix));
  if (missing !== undefined) throw new WiringError(`the node has lost its route to ${missing}`);
}

/** Throws WiringError when the pod's device in the node's namespace is not the one that there was. */
export function checkHostDevice(node: Netlink, { hostInterface, ifindex }: Endpoint): void {
  const link = node.link(hostInterface);
  if (link?.ifindex !== ifindex) throw new WiringError(`the host side ${hostInterface} is missing or was made anew`);
  if (!link.up) throw new WiringError(`the host side ${hostInterface} is down`);
}

/** Nothing of the pod passes without its program, nor to it without an entry. Throws WiringError. */
export function checkDatapath(datapath: Datapath, { hostInterface, ifindex, addresses }: Endpoint): void {
  if (!datapath.attachments.some(({ target }) => target === hostInterface)) {
    throw new WiringError(`no program is attached to ${hostInterface}`);
  }
  const missing = addresses.find((address) => datapath.readEndpoint(address)?.ifindex !== ifindex);
  if (missing !== undefined) throw new WiringError(`the map of endpoints has no entry of ${missing}`);
}

function checkPod(pod: Netlink, endpoint: Endpoint): void {
  checkPodDevice(pod, endpoint);
  const gateways = new Set(pod.routes().map(({ gateway }) => gateway));
  for (const address of endpoint.addresses) {
    if (!gateways.has(gatewayOf(address))) throw new WiringError(`the pod has lost its route by ${gatewayOf(address)}`);
  }
}

/** Throws WiringError when the pod's own device is not there, not up, or without one of the addresses. */
export function checkPodDevice(pod: Netlink, endpoint: Endpoint): void {
  const link = pod.link(endpoint.interfaceName);
  if (link === undefined) throw new WiringError(`the pod has no interface ${endpoint.interfaceName}`);
  if (!link.up) throw new WiringError(`${endpoint.interfaceName} in the pod is down`);
  const addresses = pod.addresses(link.ifindex).map(({ address }) => address.split('/')[0]);
  const missing = endpoint.addresses.find((address) => !addresses.includes(address));
  if (missing !== undefined)
    throw new WiringError(`${endpoint.interfaceName} in the pod has lost its address ${missing}`);
}

/** The kernel's own forwarding is what bpf_fib_lookup asks, so it must be on. */
function prepareHostSide(node: Netlink, { hostInterface, addresses }: Endpoint): void {
  ensure(node, `net/ipv4/conf/${hostInterface}/forwarding`, '1');
  if (!hasIpv6(addresses)) return;
  ensure(node, `net/ipv6/conf/${hostInterface}/forwarding`, '1');
  // Where it may not be written: a device that forwards takes none unless it is 2.
  writeSetting(node, `net/ipv6/conf/${hostInterface}/accept_ra`, '0');
}

/** Devices inherit most settings: what is right already may be read-only. */
function ensure(netlink: Netlink, setting: string, wanted: string): void {
  if (netlink.readSysctl(setting).trim() !== wanted) netlink.writeSysctl(setting, wanted);
}

function hasIpv6(addresses: readonly string[]): boolean {
  return addresses.some((address) => familyOf(address) === 'ipv6');
}

function configurePod(pod: Netlink, endpoint: Endpoint): void {
  const link = pod.link(endpoint.interfaceName);
  if (link === undefined) throw new WiringError(`the pod's side ${endpoint.interfaceName} did not appear`);
  const loopback = pod.link('lo');
  if (loopback !== undefined) pod.setUp(loopback.ifindex);
  // Some runtimes make namespaces in which new devices have no IPv6.
  if (hasIpv6(endpoint.addresses)) ensure(pod, `net/ipv6/conf/${endpoint.interfaceName}/disable_ipv6`, '0');
  for (const address of endpoint.addresses) pod.addAddress(link.ifindex, hostPrefix(address));
  pod.setUp(link.ifindex);
  for (const address of endpoint.addresses) {
    pod.replaceRoute({
      destination: defaultOf(address),
      gateway: gatewayOf(address),
      ifindex: link.ifindex,
      onlink: true,
      source: address,
    });
  }
}

/** So that the node's own stack reaches the pod without asking for its MAC. */
function connectHost(node: Netlink, endpoint: Endpoint, ifindex: number): void {
  for (const address of endpoint.addresses) {
    node.replaceNeighbour({ ifindex, address, mac: endpoint.mac });
    node.replaceRoute({ destination: hostPrefix(address), ifindex, scope: 'link' });
  }
}

/** A pod shares its prefix with nobody. */
export function hostPrefix(address: string): string {
  return `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}`;
}

/** Destination of the default route of an address's family. */
export function defaultOf(address: string): string {
  return familyOf(address) === 'ipv4' ? '0.0.0.0/0' : '::/0';
}

/** What a pod with this address sends to, whatever its node. */
export function gatewayOf(address: string): string {
  return GATEWAYS[familyOf(address) === 'ipv4' ? 0 : 1] ?? '';
}
