// What a node's own stack needs before pods can be forwarded. Only in the namespace the agent runs in.
import type { LinkInfo, Netlink } from '../net/native.js';

/** A setting that is not as the datapath needs it, and that the agent may not change. */
export interface ReadOnlySetting {
  readonly setting: string;
  readonly wanted: string;
  readonly reason: string;
}

/**
 * Forwarding, as on every Kubernetes node: bpf_fib_lookup answers only for devices that forward. What is right already
 * is not written, so that read-only settings (in a container, or another's namespace) do no harm. Nothing here or
 * elsewhere is about connection tracking, which we have none of.
 */
export function prepareNode(node: Netlink, uplink: LinkInfo): ReadOnlySetting[] {
  return [
    ...keepRouterAdvertisements(node, uplink),
    ...turnOn(node, 'net.ipv4.ip_forward'),
    ...turnOn(node, 'net.ipv6.conf.all.forwarding'),
  ];
}

function turnOn(node: Netlink, name: string): ReadOnlySetting[] {
  const value = readSetting(node, name);
  return value !== undefined && value !== '1' ? writeSetting(node, name, '1') : [];
}

/** Throws what is no matter of permission. */
export function writeSetting(node: Netlink, setting: string, wanted: string): ReadOnlySetting[] {
  try {
    node.writeSysctl(setting, wanted);
    return [];
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (!['EPERM', 'EACCES', 'EROFS'].includes(code)) throw error;
    return [{ setting, wanted, reason: message }];
  }
}

/** A forwarding host ignores router advertisements unless told otherwise, and would lose its default route. */
function keepRouterAdvertisements(node: Netlink, { name }: LinkInfo): ReadOnlySetting[] {
  // With slashes: a VLAN's name has a dot in it.
  const setting = `net/ipv6/conf/${name}/accept_ra`;
  return readSetting(node, setting) === '1' ? writeSetting(node, setting, '2') : [];
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
