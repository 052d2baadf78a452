// The device that leads out of the node.
import type { LinkInfo, Netlink } from './native.js';

/** No device leads out, or the one that was asked for is not there. */
export class UplinkError extends Error {
  readonly code = 'ERR_UPLINK';
}

const DEFAULT_ROUTES = ['0.0.0.0/0', '::/0'];

/**
 * The link of that name; without one, the device of the default route, IPv4 before IPv6 and the kernel's first
 * choice among several. Throws UplinkError.
 */
export function findUplink(netlink: Netlink, name?: string): LinkInfo {
  const link = name === undefined ? linkOfDefaultRoute(netlink) : netlink.link(name);
  if (link !== undefined) return link;
  const links = netlink
    .links()
    .map((one) => one.name)
    .join(', ');
  const problem = name === undefined ? 'there is no default route' : `there is no device '${name}'`;
  throw new UplinkError(`no uplink: ${problem}; devices: ${links}; name one of them with --device`);
}

function linkOfDefaultRoute(netlink: Netlink): LinkInfo | undefined {
  const routes = netlink.routes();
  for (const destination of DEFAULT_ROUTES) {
    const route = routes.find((one) => one.destination === destination);
    if (route !== undefined) return netlink.link(route.ifindex);
  }
  return undefined;
}
