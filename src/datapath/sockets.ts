// Connected sockets of a node's namespaces, and the end of those that nobody answers any more.
import { isNativeError } from '../bpf/error.js';
import type { Native } from '../bpf/native.js';
import { addressBytes } from '../model/address.js';
import type { SocketPeer } from './types.gen.js';

const TCP = 6;
const UDP = 17;

/** Paths of network namespaces; undefined is the agent's own. */
export type Namespaces = readonly (string | undefined)[];

/** struct socket_record */
export interface SocketRecord {
  readonly cookie: bigint;
  readonly peer: SocketPeer;
}

export interface StaleQuery {
  readonly namespaces: Namespaces;
  readonly isStale: (peer: SocketPeer) => boolean;
  /** What the lister wrote about the sockets of a namespace. */
  readonly list: (netns: string | undefined) => Promise<readonly SocketRecord[]>;
}

/** Ends connected UDP sockets whose peer says so. Resolves to how many. Rejects with NativeError. */
export async function endDatagramSockets(native: Native, { namespaces, isStale, list }: StaleQuery): Promise<number> {
  return inEach(namespaces, async (netns) => {
    const records = (await list(netns)).filter(({ peer }) => isStale(peer));
    if (records.length === 0) return 0;
    const cookies = new Set(records.map(({ cookie }) => cookie));
    const connected = await native.listSockets({ ...(netns && { netns }), protocol: UDP });
    const stale = connected.filter(({ cookie }) => cookies.has(cookie)).map(({ name }) => name);
    return stale.length === 0 ? 0 : native.destroySockets(netns, stale);
  });
}

/** Ends every socket whose peer has one of these addresses: of a pod that is gone. Resolves to how many. */
export async function endSocketsTo(
  native: Native,
  { namespaces, addresses }: { namespaces: Namespaces; addresses: readonly string[] },
): Promise<number> {
  const remotes = addresses.map(addressBytes);
  return inEach(namespaces, async (netns) => {
    let ended = 0;
    for (const protocol of [TCP, UDP]) {
      for (const remote of remotes) {
        const sockets = await native.listSockets({ ...(netns && { netns }), protocol, remote });
        const names = sockets.map(({ name }) => name);
        if (names.length > 0) ended += await native.destroySockets(netns, names);
      }
    }
    return ended;
  });
}

/** A namespace that went away meanwhile has no sockets. */
async function inEach(namespaces: Namespaces, end: (netns: string | undefined) => Promise<number>): Promise<number> {
  let ended = 0;
  for (const netns of new Set(namespaces)) {
    try {
      ended += await end(netns);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return ended;
}

/** EINVAL: the file is there, the namespace that was mounted on it is not. */
function isGone(error: unknown): boolean {
  return isNativeError(error) && (error.code === 'ENOENT' || error.code === 'EINVAL');
}
