// Declares and documents the network addon (native/, over libnl-route); the only file that loads it.
import { createRequire } from 'node:module';

export interface LinkInfo {
  readonly ifindex: number;
  readonly name: string;
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** ifindex of a veth's other end, 0 when there is none. */
  readonly peer: number;
}

export interface AddressInfo {
  readonly ifindex: number;
  /** With prefix length, e.g. `192.0.2.10/24`. */
  readonly address: string;
  /** `global`, `link`, `host`. */
  readonly scope: string;
}

export interface RouteInfo {
  /** CIDR; `0.0.0.0/0` or `::/0` for a default route. */
  readonly destination: string;
  readonly gateway?: string;
  readonly ifindex: number;
  readonly mtu?: number;
  /** `link` scope says that the destination is on the link itself. */
  readonly scope?: 'link' | 'global';
  /** Preferred source address. */
  readonly source?: string;
  readonly onlink?: boolean;
}

export interface NeighbourInfo {
  readonly ifindex: number;
  readonly address: string;
  readonly mac: string;
}

export interface VethOptions {
  readonly name: string;
  readonly mac: string;
  readonly peerName: string;
  readonly peerMac: string;
  readonly mtu: number;
  /** The namespace the peer is created in; an open handle. */
  readonly peerNamespace: Netlink;
}

/** A token bucket: `rate` in bytes a second, `burst` in bytes, and how many bytes may wait for tokens. */
export interface RateLimit {
  readonly rate: number;
  readonly burst: number;
  readonly limit: number;
}

/**
 * Bytes of the largest packet that a link takes (`gso`) or makes (`gro`) in one piece; `gso` and `gro` are for IPv6, and
 * for IPv4 too in kernels that do not tell them apart (before 6.3).
 */
export interface PacketSizes {
  readonly gso?: number;
  /** Since 5.17. */
  readonly gro?: number;
  /** Since 6.3. */
  readonly gsoIpv4?: number;
  readonly groIpv4?: number;
}

/** A netlink socket that lives in one network namespace. Every call is one round trip; errors are NativeError shaped. */
export interface Netlink {
  links(): LinkInfo[];
  /** undefined when there is none. By name or index. */
  link(which: string | number): LinkInfo | undefined;
  /** Creates both ends at once: the peer never appears in this namespace. Returns the host side. */
  addVeth(options: VethOptions): LinkInfo;
  /** false when there was none. Deleting one end of a veth deletes both. */
  deleteLink(ifindex: number): boolean;
  setUp(ifindex: number): void;
  setMtu(ifindex: number, mtu: number): void;
  /** `tso` is what the device allows at most (5.19). Only what the kernel tells; undefined when there is no such link. */
  packetSizes(ifindex: number): (PacketSizes & { readonly tso?: number }) | undefined;
  /** What the kernel does not know yet it ignores; what the device does not allow throws. */
  setPacketSizes(ifindex: number, sizes: PacketSizes): void;
  /** Whether the link joins packets that it receives (GRO). */
  receiveOffload(ifindex: number): boolean;
  setReceiveOffload(ifindex: number, on: boolean): void;
  addresses(ifindex: number): AddressInfo[];
  /**
   * An address that exists already is not an error. IPv6 addresses are added without duplicate address detection. One
   * that is deprecated is answered for, but not chosen as the source of the host's own connections.
   */
  addAddress(ifindex: number, address: string, deprecated?: boolean): void;
  deleteAddress(ifindex: number, address: string): boolean;
  routes(): RouteInfo[];
  /** Adds or replaces. */
  replaceRoute(route: RouteInfo): void;
  deleteRoute(route: RouteInfo): boolean;
  /** Adds or replaces a permanent neighbour. */
  replaceNeighbour(neighbour: NeighbourInfo): void;
  deleteNeighbour(neighbour: NeighbourInfo): boolean;
  /** What the link sends from now on, by a token bucket (tbf) in place of its root qdisc. */
  limitRate(ifindex: number, limit: RateLimit): void;
  /** Kind of the link's root qdisc, e.g. `tbf` or `noqueue`; undefined when the link is not up or gone. */
  rootQdisc(ifindex: number): string | undefined;
  /** Gives the link the root qdisc back that the kernel chooses. false when there is none to remove. */
  removeRootQdisc(ifindex: number): boolean;
  /** Cookie of the namespace (SO_NETNS_COOKIE, 5.14). */
  readonly cookie: bigint;
  /** Runs a file write inside the namespace, e.g. a sysctl below /proc/sys/net. */
  writeSysctl(name: string, value: string): void;
  readSysctl(name: string): string;
  close(): void;
}

export interface NativeNet {
  /** Opens the namespace at `path` (e.g. /run/netns/x or /proc/1/ns/net), or the caller's own when absent. */
  openNetlink(path?: string): Netlink;
}

const require = createRequire(import.meta.url);
/** The project's folder, from src/ as from build/src/. */
const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

/** Loads the addon that `npm run build` made. */
export function loadNativeNet(): NativeNet {
  const directory = process.env.ISTHMUS_NATIVE_DIR ?? `${ROOT}/build/native`;
  return require(`${directory}/net.node`) as NativeNet;
}
