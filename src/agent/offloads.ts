// What the devices of pods do for streams: packets beyond 64 KiB (BIG TCP), and GRO for pods that send without TSO.
import type { Logger } from 'pino';
import type { OffloadState } from '../api/protocol.js';
import { FAMILIES, type Family } from '../model/address.js';
import type { LinkInfo, Netlink, PacketSizes } from '../net/native.js';
import type { Settings } from './settings.js';

/** Bytes of the largest packet of a pod; larger ones are no faster (docs/offloads.md). */
const BIG_PACKET = 196_608;
/** Bytes that every device takes, unless it says less. */
const LEGACY_PACKET = 65_536;

export interface OffloadsOptions {
  readonly node: Netlink;
  readonly uplink: LinkInfo;
  readonly wanted: Pick<Settings, 'bigTcp' | 'gro'>;
  readonly log: Logger;
}

/** Both ends of a pod's veth. */
export interface OffloadTarget {
  readonly pod: Netlink;
  /** Of the node's side. */
  readonly ifindex: number;
  readonly hostInterface: string;
  readonly interfaceName: string;
}

/**
 * Decided once, by what the uplink takes: a larger packet that leaves by it would be cut to single segments in software,
 * which costs more than all that large packets save.
 */
export class Offloads {
  readonly state: OffloadState;
  readonly #options: OffloadsOptions;

  constructor(options: OffloadsOptions) {
    this.#options = options;
    this.state = decide(options);
  }

  /** Never throws: without any of it packets pass all the same. What is so already is not set again. */
  apply({ pod, ifindex, hostInterface, interfaceName }: OffloadTarget): void {
    const { node } = this.#options;
    const own = pod.link(interfaceName);
    this.#try(hostInterface, () => this.#setGro(ifindex));
    this.#try(hostInterface, () => this.#setSizes(node, ifindex));
    if (own !== undefined)
      this.#try(`${interfaceName} behind ${hostInterface}`, () => this.#setSizes(pod, own.ifindex));
  }

  #try(device: string, change: () => void): void {
    try {
      change();
    } catch (error) {
      const { message } = error as Error;
      this.#options.log.warn({ device, reason: message }, 'a device of a pod stays as it was: its streams are slower');
    }
  }

  #setGro(ifindex: number): void {
    const { node } = this.#options;
    if (node.receiveOffload(ifindex) !== this.state.gro) node.setReceiveOffload(ifindex, this.state.gro);
  }

  #setSizes(netlink: Netlink, ifindex: number): void {
    const has = netlink.packetSizes(ifindex);
    const changes = has === undefined ? {} : changesOf(has, this.state.packetBytes);
    if (Object.keys(changes).length > 0) netlink.setPacketSizes(ifindex, changes);
  }
}

function decide({ node, uplink, wanted }: OffloadsOptions): OffloadState {
  const gro = wanted.gro === 'auto';
  const legacy = { ipv4: LEGACY_PACKET, ipv6: LEGACY_PACKET };
  if (wanted.bigTcp === 'never') return { packetBytes: legacy, gro };
  const takes = node.packetSizes(uplink.ifindex) ?? {};
  const packetBytes = { ipv4: bounded(takes.gsoIpv4), ipv6: bounded(takes.gso) };
  const small = FAMILIES.filter((family) => packetBytes[family] < BIG_PACKET);
  if (small.length === 0) return { packetBytes, gro };
  return { packetBytes, gro, reason: reasonOf(uplink, takes, small) };
}

/** A device that takes less than others has its packets cut by the kernel today; pods are not made slower for it. */
function bounded(bytes = LEGACY_PACKET): number {
  return Math.min(Math.max(bytes, LEGACY_PACKET), BIG_PACKET);
}

const ATTRIBUTES: Readonly<Record<Family, string>> = { ipv4: 'gso_ipv4_max_size', ipv6: 'gso_max_size' };

function reasonOf({ name }: LinkInfo, { tso = LEGACY_PACKET, gsoIpv4 }: UplinkSizes, small: readonly Family[]): string {
  const most = Math.min(tso, BIG_PACKET);
  const known = small.filter((family) => family === 'ipv6' || gsoIpv4 !== undefined);
  if (most <= LEGACY_PACKET) return `the driver of ${name} takes packets of ${tso} bytes at most`;
  if (known.length === 0) return 'the kernel has no IPv4 packets beyond 64 KiB (6.3)';
  const words = known.map((family) => `${ATTRIBUTES[family]} ${most}`);
  return `${name} takes smaller packets than it could; 'ip link set dev ${name} ${words.join(' ')}' changes it`;
}

type UplinkSizes = PacketSizes & { readonly tso?: number };

/** What somebody made smaller than usual stays so. */
function changesOf(has: UplinkSizes, wanted: OffloadState['packetBytes']): PacketSizes {
  const most = has.tso ?? LEGACY_PACKET;
  const targets = { gso: wanted.ipv6, gro: wanted.ipv6, gsoIpv4: wanted.ipv4, groIpv4: wanted.ipv4 };
  const changes = Object.entries(targets).flatMap(([key, bytes]) => {
    const before = has[key as keyof PacketSizes];
    const target = Math.min(bytes, most);
    if (before === undefined || before === target || Math.max(before, target) <= LEGACY_PACKET) return [];
    return [[key, target]];
  });
  return Object.fromEntries(changes) as PacketSizes;
}
