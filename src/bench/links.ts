// Devices inside the namespaces.
import type { LinkInfo } from '../net/native.js';
import { loadNativeNet } from '../net/native.js';

/** Throws when the namespace has no such device. */
export function linkIn(netns: string, device: string): LinkInfo {
  const netlink = loadNativeNet().openNetlink(`/run/netns/${netns}`);
  try {
    const link = netlink.link(device);
    if (!link) throw new Error(`no device ${device} in ${netns}`);
    return link;
  } finally {
    netlink.close();
  }
}
