// Packets beyond 64 KiB in tests: how large devices take them, and how large those are that a device has seen.
import { loadNativeNet, type Netlink } from '../../src/net/native.js';
import { withNetlink } from '../../src/net/netns.js';
import type { TestNamespaces } from './netns.js';

/** Bytes that every device takes, and what the agent gives pods. */
export const SMALL = 65_536;
export const BIG = 196_608;

/** Of an Ethernet header: lengths of frames have it. */
const ETHERNET = 14;

export interface Watched {
  readonly place: string;
  readonly device: string;
  /** Address of the sender. */
  readonly from: string;
}

/** In a namespace of the test. */
export function inside<T>({ path }: TestNamespaces, place: string, work: (netlink: Netlink) => T): T {
  return withNetlink(loadNativeNet(), path(place), work);
}

/** As an operator does it. */
export function resize(namespaces: TestNamespaces, place: string, bytes: number, ...devices: string[]): void {
  inside(namespaces, place, (netlink) => {
    const sizes = { gso: bytes, gro: bytes, gsoIpv4: bytes, groIpv4: bytes };
    for (const device of devices) netlink.setPacketSizes(netlink.link(device)?.ifindex ?? 0, sizes);
  });
}

export function sizesOf(namespaces: TestNamespaces, place: string, device: string) {
  return inside(namespaces, place, (netlink) => netlink.packetSizes(netlink.link(device)?.ifindex ?? 0));
}

/**
 * Bytes of the largest IP packet from an address that comes into or leaves a device while something is done; 0 when there
 * was none. tcpdump cannot read the length of IPv4 packets beyond 64 KiB, but says that of the frame.
 */
export async function largestSeen(
  { start }: TestNamespaces,
  { place, device, from }: Watched,
  action: () => Promise<void>,
): Promise<number> {
  const filter = ['src', 'host', from];
  const capture = start(place, ['tcpdump', '-nlqei', device, '-s', '120', '-B', '8192', '--immediate-mode', ...filter]);
  let said = '';
  capture.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  await new Promise((resolve) => capture.stderr?.once('data', resolve));
  await action();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const ended = new Promise((resolve) => capture.once('close', resolve));
  capture.kill('SIGINT');
  await ended;
  return Math.max(0, ...[...said.matchAll(/, IPv[46], length (\d+): /g)].map(([, bytes]) => Number(bytes) - ETHERNET));
}
