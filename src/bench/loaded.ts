// Inside a node's namespace: the programs that its agent loaded, once more, to be run in place.
import type { NativeProgram } from '../bpf/native.js';
import { loadNative } from '../bpf/native.js';
import { BpfObject } from '../bpf/object.js';
import { compileConfig } from '../datapath/config.js';
import type { Config, Maps } from '../datapath/types.gen.js';
import type { ClusterNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import type { Snapshot } from '../model/snapshot.js';
import { DETOUR_MAC } from '../net/detour.js';
import { DirectorySource } from '../source/directory.js';
import { ROOT } from '../testbed/files.js';

/** The node, as its agent runs it: its manifests, its pins and its devices. */
export interface NodeView {
  readonly node: string;
  readonly manifests: string;
  readonly bpffs: string;
  readonly gatewayMac: string;
  readonly uplink: { readonly ifindex: number; readonly mtu: number; readonly mac: string };
  /** Maps of the node that are written, too; all that are not named are new ones. */
  readonly written?: readonly (keyof Maps & string)[];
}

export type Datapath = BpfObject<Maps, Config>;

export const OBJECT = `${ROOT}/build/bpf/datapath.bpf.o`;
/** Runs of one call: the packet is not restored between them and loses a hop in each. */
export const REPEAT = 250;
/** struct __sk_buff: its size, and where it has the device. */
const CONTEXT_BYTES = 192;
const CONTEXT_IFINDEX = 40;
const TC_REDIRECT = 7;
/** What is read only: the node's own, as its agent filled them. */
const SHARED = ['endpoints', 'routes', 'services', 'backends'] as const;

/** With a flow table of their own, unless it is to be the node's. */
export async function loadDatapath(question: NodeView): Promise<Datapath> {
  const snapshot = await readSnapshot(question.manifests);
  const node = snapshot.nodes.get(question.node);
  if (!snapshot.network || !node)
    throw new Error(`no ClusterNetwork or no Node ${question.node} in ${question.manifests}`);
  const config = configOf(snapshot.network, node, question);
  // As the agent does where the kernel does not tell how a checksum is meant.
  return load({ ...config, fast_checksum: 1 }, question).catch(() => load({ ...config, fast_checksum: 0 }, question));
}

/** What the agent would configure, but for what only whole packets never meet. */
export function configOf(
  network: ClusterNetwork,
  node: Node,
  { uplink, gatewayMac }: Pick<NodeView, 'uplink' | 'gatewayMac'>,
): Omit<Config, 'fast_checksum'> {
  return {
    ...compileConfig(network, node),
    uplink_ifindex: uplink.ifindex,
    uplink_mtu: uplink.mtu,
    uplink_mac: uplink.mac,
    xdp_redirect: 1,
    gateway_mac: gatewayMac,
    netns_cookie: 0n,
    loaded: 0,
    // What is measured are whole packets that fit.
    detour_ifindex: [0, 0],
    detour_mac: DETOUR_MAC,
    cut_ifindex: 0,
  };
}

async function load(config: Config, { bpffs, written = [] }: NodeView): Promise<Datapath> {
  const datapath = BpfObject.open<Maps, Config>(loadNative(), OBJECT);
  try {
    datapath.configure(config);
    for (const name of [...SHARED, ...written])
      if (!datapath.reuseMap(name, `${bpffs}/${name}`)) throw new Error(`the agent has no ${bpffs}/${name}`);
    await datapath.load();
    return datapath;
  } catch (error) {
    datapath.close();
    throw error;
  }
}

async function readSnapshot(directory: string): Promise<Snapshot> {
  const source = new DirectorySource({ directory });
  const { promise, resolve } = Promise.withResolvers<Snapshot>();
  await source.start(resolve);
  const snapshot = await promise;
  await source.close();
  return snapshot;
}

/** The mean of one call's runs, nanoseconds; the kernel reports whole ones. */
export function durationOf(program: NativeProgram, data: Buffer, context: Buffer): number {
  return program.testRun({ data, context, repeat: REPEAT }).duration;
}

/** Throws for a packet that does not get on: its cost would mean nothing. */
export function requireRedirect(name: string, program: string, verdict: number): void {
  if (verdict === TC_REDIRECT) return;
  throw new Error(`${name}: ${program} returned ${verdict} and not redirect (${TC_REDIRECT}): its cost means nothing`);
}

/** The struct __sk_buff of a packet that arrives at a device. */
export function contextOf(ifindex: number): Buffer {
  const context = Buffer.alloc(CONTEXT_BYTES);
  context.writeUInt32LE(ifindex, CONTEXT_IFINDEX);
  return context;
}
