// Packets beyond 64 KiB in tests: how large devices take them, and how large those are that a device has seen.
import { loadNativeNet, type Netlink } from '../../src/net/native.js';
import type { TestNamespaces } from './netns.js';

/** Bytes that every device takes, and what the agent gives pods. */
export const SMALL = 65_536;
export const BIG = 196_608;

/** Of an Ethernet header: lengths of frames have it. */
const ETHERNET = 14;

export interface Frame {
  /** Of the IP packet. */
  readonly bytes: number;
  /** Address of its sender. */
  readonly from: string;
}

/** In a namespace of the test. */
export function withNetlink<T>({ path }: TestNamespaces, place: string, work: (netlink: Netlink) => T): T {
  const netlink = loadNativeNet().openNetlink(path(place));
  try {
    return work(netlink);
  } finally {
    netlink.close();
  }
}

/** As an operator does it. */
export function resize(namespaces: TestNamespaces, place: string, bytes: number, ...devices: string[]): void {
  withNetlink(namespaces, place, (netlink) => {
    const sizes = { gso: bytes, gro: bytes, gsoIpv4: bytes, groIpv4: bytes };
    for (const device of devices) netlink.setPacketSizes(netlink.link(device)?.ifindex ?? 0, sizes);
  });
}

export function sizesOf(namespaces: TestNamespaces, place: string, device: string) {
  return withNetlink(namespaces, place, (netlink) => netlink.packetSizes(netlink.link(device)?.ifindex ?? 0));
}

/** TCP packets, and those by IPv6 with options, that come into or leave a device while something is done. */
export async function seen(
  { start }: TestNamespaces,
  [place, device]: readonly [string, string],
  action: () => Promise<void>,
): Promise<readonly Frame[]> {
  const argv = ['tcpdump', '-nlqei', device, '-s', '120', '-B', '8192', '--immediate-mode', 'tcp or ip6 proto 0'];
  const capture = start(place, argv);
  let said = '';
  capture.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  await new Promise((resolve) => capture.stderr?.once('data', resolve));
  await action();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const ended = new Promise((resolve) => capture.once('close', resolve));
  capture.kill('SIGINT');
  await ended;
  return said.split('\n').flatMap(parseLine);
}

function parseLine(line: string): Frame[] {
  const [, length, from] = /length (\d+): (?:IP6? )?(\S+?)(?:\.\d+)? > /.exec(line) ?? [];
  return length === undefined || from === undefined ? [] : [{ bytes: Number(length) - ETHERNET, from }];
}

/** Bytes of the largest packet from an address; 0 when there was none. */
export function largest(frames: readonly Frame[], from: string): number {
  return Math.max(0, ...frames.filter((frame) => frame.from === from).map(({ bytes }) => bytes));
}
