// Packets a second from the wire to a node port whose backend is elsewhere: out again by the same wire.

import { run } from '../../testbed/command.js';
import { UPLINK } from '../../testbed/node.js';
import { askAgent } from '../../testbed/node-agent.js';
import { type Counter, type Line, loadFrames, openCounter, openLine, type Passage, send } from '../line.js';
import type { PodPath } from '../paths.js';
import { type BenchNode, stationOf } from '../plan.js';
import { shuffle } from '../statistics.js';
import { BACKEND_PORT, putServices, requireConnection, type ServiceBed } from './bed.js';
import { replaceRules } from './netfilter.js';
import type { NetfilterPeer } from './plan.js';
import { listServices, ownService, type ServedService } from './services.js';

export type NodePortPeer = 'ours' | 'ours, XDP' | NetfilterPeer;

/** A TCP flow that nobody answers takes its first packet from everybody; a UDP flow is one from the first on. */
export const LOADS = ['SYN', 'UDP'] as const;
export type NodePortLoad = (typeof LOADS)[number];

export interface NodePortSample extends Passage {
  readonly peer: NodePortPeer;
  readonly load: NodePortLoad;
  readonly round: number;
  /** What of ours was attached to the wire: the names of programs and how. */
  readonly attached?: string;
}

export interface NodePortOptions {
  readonly bed: ServiceBed;
  readonly rounds: number;
  /** In one run. */
  readonly packets: number;
  readonly signal: AbortSignal;
}

const NODE_PORTS = { SYN: 30_080, UDP: 30_053 } as const;
const SERVICES = 1000;

interface Way {
  readonly peer: NodePortPeer;
  readonly netns: string;
  readonly attached?: string;
  readonly line: Line;
  readonly far: Counter;
}

export async function measureNodePort(options: NodePortOptions): Promise<NodePortSample[]> {
  const { bed } = options;
  const ways: Way[] = [];
  try {
    for (const [peer, node] of [['ours', bed.node] as const, ['ours, XDP', bed.xdpNode] as const]) {
      await putServices({ node }, servicesFor(bed, node.name));
      ways.push({ ...(await openWay(peer, node.name, bed)), attached: await attachedOf(node) });
    }
    for (const node of bed.netfilter) {
      await replaceRules(node, servicesFor(bed, node.peer));
      ways.push(await openWay(node.peer, node.peer, bed));
    }
    return await measureRounds(ways, options);
  } finally {
    for (const { line, far } of ways) {
      line.generator.close();
      far.close();
    }
  }
}

async function measureRounds(ways: readonly Way[], { rounds, packets, signal }: NodePortOptions) {
  const samples: NodePortSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const { load, way } of LOADS.flatMap((one) => shuffle(ways).map((each) => ({ load: one, way: each })))) {
      signal.throwIfAborted();
      const { peer, attached } = way;
      const passage = await sendThrough(way, load, packets);
      samples.push({ peer, load, round, ...passage, ...(attached === undefined ? {} : { attached }) });
    }
  }
  return samples;
}

/** What the node itself answers is not what was sent on. */
async function sendThrough({ netns, line }: Way, load: NodePortLoad, packets: number): Promise<Passage> {
  const before = await resetsOf(netns);
  const passage = await send(line, load, packets);
  const resets = (await resetsOf(netns)) - before;
  if (resets === 0) return passage;
  return { nanoseconds: Number.NaN, lost: 1, error: `the node refused ${resets} packets of its node port` };
}

/** TCP resets that the stack of a namespace has sent. */
async function resetsOf(netns: string): Promise<number> {
  const text = await run(['cat', '/proc/net/snmp'], { netns });
  const [names, values] = text.split('\n').filter((line) => line.startsWith('Tcp:'));
  const index = names?.split(' ').indexOf('OutRsts') ?? -1;
  return Number(values?.split(' ')[index]);
}

/** The backend is the host at the other end of the wire: it sees all that the node sends on. */
function servicesFor({ plan }: ServiceBed, node: string): ServedService[] {
  const { addresses } = stationOf(plan, `${node}-out`);
  const backends = [{ address: addresses.ipv4, port: BACKEND_PORT }];
  const inTheMiddle = [
    ownService(4, { name: 'node-port', nodePort: NODE_PORTS.SYN, backends }),
    ownService(5, { name: 'node-port-udp', protocol: 'UDP', nodePort: NODE_PORTS.UDP, backends }),
  ];
  return listServices({ count: SERVICES, backends: 3, inTheMiddle });
}

async function openWay(peer: NodePortPeer, name: string, { plan, cpu }: ServiceBed): Promise<Way> {
  const [node, outside] = [stationOf(plan, name), stationOf(plan, `${name}-out`)];
  const path: PodPath = {
    pod: { netns: outside.netns, address: outside.addresses.ipv4 },
    node: { netns: node.netns, device: UPLINK },
    outside: { netns: outside.netns, address: node.addresses.ipv4 },
  };
  const { ipv4: address } = node.addresses;
  await requireConnection(peer, { netns: outside.netns, address, port: NODE_PORTS.SYN });
  // A veth takes frames from an xdp program of its other end by its NAPI, which GRO switches on; so for all.
  await run(['ethtool', '-K', UPLINK, 'gro', 'on'], { netns: outside.netns });
  const far = await openCounter({ netns: outside.netns, cpu });
  const line = await openLine(path, { cpu, far });
  for (const load of LOADS) {
    const kind = load === 'SYN' ? 'syn' : 'udp';
    await loadFrames(line, { name: load, kind, sourcePort: 40_000, destinationPort: NODE_PORTS[load] }, 100);
  }
  return { peer, netns: node.netns, line, far };
}

async function attachedOf(node: BenchNode): Promise<string> {
  const attachments = (await askAgent(node))?.state.attachments ?? [];
  return attachments
    .filter(({ target }) => target === UPLINK)
    .map(({ program, kind }) => `${program} by ${kind}`)
    .join(', ');
}
