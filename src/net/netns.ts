// Named network namespaces of this machine, as `ip netns` keeps them.
import { readdirSync } from 'node:fs';
import type { NativeNet, Netlink } from './native.js';

export const NETNS_DIR = '/run/netns';

export function namespacePath(name: string): string {
  return `${NETNS_DIR}/${name}`;
}

/** Names in alphabetical order; none when the directory is not there. */
export function listNamespaces(): string[] {
  try {
    return readdirSync(NETNS_DIR).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Runs something with the namespace's netlink socket, which is closed afterwards in any case. */
export function withNetlink<T>(net: NativeNet, path: string | undefined, use: (netlink: Netlink) => T): T {
  const netlink = net.openNetlink(path);
  try {
    return use(netlink);
  } finally {
    netlink.close();
  }
}

/** The namespace's cookie, or undefined when there is no namespace at the path (a plain file is none either). */
export function namespaceCookie(net: NativeNet, path: string): bigint | undefined {
  try {
    return withNetlink(net, path, (netlink) => netlink.cookie);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'EINVAL') return undefined;
    throw error;
  }
}
