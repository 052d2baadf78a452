// Devices inside the namespaces.
import type { LinkInfo } from '../net/native.js';
import { loadNativeNet } from '../net/native.js';
import { namespacePath, withNetlink } from '../net/netns.js';

/** Throws when the namespace has no such device. */
export function linkIn(netns: string, device: string): LinkInfo {
  const link = withNetlink(loadNativeNet(), namespacePath(netns), (netlink) => netlink.link(device));
  if (!link) throw new Error(`no device ${device} in ${netns}`);
  return link;
}
