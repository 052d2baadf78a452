// What a node's own stack needs before pods can be forwarded. Only in the namespace the agent runs in.
import type { LinkInfo, Netlink } from '../net/native.js';

/** Forwarding, as on every Kubernetes node: bpf_fib_lookup answers only for devices that forward. */
export function prepareNode(node: Netlink, uplink: LinkInfo): void {
  keepRouterAdvertisements(node, uplink);
  turnOn(node, 'net.ipv4.ip_forward');
  turnOn(node, 'net.ipv6.conf.all.forwarding');
}

function turnOn(node: Netlink, name: string): void {
  const value = readSetting(node, name);
  if (value !== undefined && value !== '1') node.writeSysctl(name, '1');
}

/** A forwarding host ignores router advertisements unless told otherwise, and would lose its default route. */
function keepRouterAdvertisements(node: Netlink, { name }: LinkInfo): void {
  // With slashes: a VLAN's name has a dot in it.
  const setting = `net/ipv6/conf/${name}/accept_ra`;
  if (readSetting(node, setting) === '1') node.writeSysctl(setting, '2');
}

/** undefined when the kernel has no such setting: one that was started with ipv6.disable=1 has none of IPv6. */
function readSetting(node: Netlink, name: string): string | undefined {
  try {
    return node.readSysctl(name).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
