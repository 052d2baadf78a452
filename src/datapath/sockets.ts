// Connected sockets of a node's namespaces, and the end of those that nobody answers any more.
import { isNativeError } from '../bpf/error.js';
import type { Native, NativeProgram } from '../bpf/native.js';
import { addressBytes } from '../model/address.js';

const TCP = 6;
const UDP = 17;

/** Paths of network namespaces; undefined is the agent's own. */
export type Namespaces = readonly (string | undefined)[];

/** Ends the connected UDP sockets that the lister names. Resolves to how many. Rejects with NativeError. */
export async function endStaleSockets(native: Native, lister: NativeProgram, namespaces: Namespaces): Promise<number> {
  return inEach(namespaces, async (netns) => {
    const cookies = cookiesOf(await native.walkSockets(lister, netns));
    if (cookies.size === 0) return 0;
    const connected = await native.listSockets({ ...(netns && { netns }), protocol: UDP });
    const stale = connected.filter(({ cookie }) => cookies.has(cookie)).map(({ name }) => name);
    return stale.length === 0 ? 0 : native.destroySockets(netns, stale);
  });
}

/** In the machine's order. */
function cookiesOf(bytes: Buffer): Set<bigint> {
  return new Set(new BigUint64Array(Uint8Array.from(bytes).buffer));
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
