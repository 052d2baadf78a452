// Pods whose interface another CNI plugin made: found by that plugin's result, joined with our programs, and left as
// they were.
import type { IpAddress } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import type { LinkInfo, Netlink } from '../net/native.js';
import { namespaceCookie, withNetlink } from '../net/netns.js';
import { limitBandwidth, missingLimit, removeLimits } from './bandwidth.js';
import { addressesAt, type CniResult, nodeInterfaces } from './cni-addresses.js';
import { CNI_CODES, CniError } from './cni-error.js';
import { checkDatapath, checkHostDevice, checkPodDevice, type Wiring, WiringError } from './wiring.js';

/** What the plugin before ours has decided of a pod. */
export type ChainedDevice = Pick<Endpoint, 'addresses' | 'mac' | 'mtu' | 'hostInterface' | 'chained'>;

interface Wanted {
  readonly netns: string;
  readonly interfaceName: string;
  readonly previous: CniResult;
}

/** Looks for the interface that the result speaks of. Throws CniError when it is none that programs can serve. */
export function findChained({ net, node }: Wiring, wanted: Wanted): ChainedDevice {
  const { interfaceName, previous } = wanted;
  const addresses = addressesAt(previous, interfaceName);
  if (addresses.length === 0) throw refuse(`it names no address of ${interfaceName}`, 'there is nobody to serve');
  return withNetlink(net, wanted.netns, (pod) => {
    const own = pod.link(interfaceName);
    if (own === undefined)
      throw refuse(`the pod has no interface ${interfaceName}`, 'the plugin before has to make it');
    requireAddresses(pod, own, addresses);
    const { name } = hostEnd(node, own, previous);
    return { addresses, mac: own.mac, mtu: own.mtu, hostInterface: name, chained: true };
  });
}

function requireAddresses(pod: Netlink, { ifindex, name }: LinkInfo, addresses: readonly IpAddress[]): void {
  const there = pod.addresses(ifindex).map(({ address }) => address.split('/')[0]);
  const missing = addresses.find((address) => !there.includes(address));
  if (missing !== undefined) throw refuse(`it names ${missing}, which ${name} in the pod does not have`, 'see its log');
}

/** Both ends name each other, and the result names the node's. */
function hostEnd(node: Netlink, own: LinkInfo, previous: CniResult): LinkInfo {
  const end = own.peer === 0 ? undefined : node.link(own.peer);
  const named = nodeInterfaces(previous);
  const isEnd = end?.peer === own.ifindex && (named === undefined || named.includes(end.name));
  if (end !== undefined && isEnd) return end;
  const kind = own.kind === '' ? 'device' : own.kind;
  throw refuse(
    `${own.name} in the pod is a ${kind} without an end in the node's namespace that the result names`,
    'chain behind a plugin that makes a veth, as bridge and ptp do',
  );
}

function refuse(reason: string, next: string): CniError {
  return new CniError(CNI_CODES.invalidConfig, `prevResult: ${reason}`, `nothing was changed; ${next}`);
}

/** Puts the program on the device, and limits on both ends; returns its index. Throws with nothing left behind. */
export function join(wiring: Wiring, endpoint: Endpoint): number {
  const { net, node, datapath } = wiring;
  const link = node.link(endpoint.hostInterface);
  if (link === undefined) throw new WiringError(`the host side ${endpoint.hostInterface} is gone`);
  const { ifindex } = link;
  try {
    datapath.attachChained(endpoint.hostInterface, ifindex);
    withNetlink(net, endpoint.netns, (pod) => limitBandwidth({ node, pod, endpoint: { ...endpoint, ifindex } }));
    return ifindex;
  } catch (error) {
    leave(wiring, endpoint);
    throw error;
  }
}

/** Takes off what join() put on; the device stays. Whether it was there. */
export function leave({ net, node, datapath }: Wiring, endpoint: Endpoint): boolean {
  const { hostInterface, netns } = endpoint;
  const link = node.link(hostInterface);
  // Who has the name by now has a program of its own.
  if (link !== undefined && endpoint.ifindex !== 0 && endpoint.ifindex !== link.ifindex) return false;
  datapath.detachContainer(hostInterface);
  if (link === undefined) return false;
  if (endpoint.bandwidth === undefined) return true;
  const limited = { node, endpoint: { ...endpoint, ifindex: link.ifindex } };
  if (namespaceCookie(net, netns) === undefined) removeLimits(limited);
  else withNetlink(net, netns, (pod) => removeLimits({ ...limited, pod }));
  return true;
}

/** Throws WiringError with the first thing that is not as it was. Routes are the other plugin's. */
export function checkChained({ net, node, datapath }: Wiring, endpoint: Endpoint): void {
  checkHostDevice(node, endpoint);
  checkDatapath(datapath, endpoint);
  withNetlink(net, endpoint.netns, (pod) => {
    checkPodDevice(pod, endpoint);
    const missing = missingLimit({ node, pod, endpoint });
    if (missing !== undefined) throw new WiringError(missing);
  });
}
