// Packets a second from the wire to a node port whose backend is elsewhere: out again by the same wire.

import { run } from '../../testbed/command.js';
import { UPLINK } from '../../testbed/node.js';
import { askAgent } from '../../testbed/node-agent.js';
import { type Counter, type Line, loadFrames, openCounter, openLine, type Passage, send } from '../line.js';
import type { PodPath } from '../paths.js';
import { stationOf } from '../plan.js';
import { shuffle } from '../statistics.js';
import { BACKEND_PORT, putServices, requireConnection, type ServiceBed } from './bed.js';
import { replaceRules } from './netfilter.js';
import { type NetfilterPeer, SERVICE_NODE } from './plan.js';
import { listServices, ownService } from './services.js';

export type NodePortPeer = 'ours' | NetfilterPeer;

export interface NodePortSample extends Passage {
  readonly peer: NodePortPeer;
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

const NODE_PORT = 30_080;
const SERVICES = 1000;
/** Sent again and again: a flow that is not answered takes its first packet from everybody. */
const FRAMES = { name: 'syn', kind: 'syn', sourcePort: 40_000, destinationPort: NODE_PORT } as const;

interface Way {
  readonly peer: NodePortPeer;
  readonly netns: string;
  readonly line: Line;
  readonly far: Counter;
}

export async function measureNodePort(options: NodePortOptions): Promise<NodePortSample[]> {
  const { bed, rounds, packets, signal } = options;
  const peers: NodePortPeer[] = ['ours', ...bed.netfilter.map(({ peer }) => peer)];
  await writePorts(bed);
  const attached = await attachedOf(bed);
  const ways: Way[] = [];
  try {
    for (const peer of peers) ways.push(await openWay(peer, bed));
    const samples: NodePortSample[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const way of shuffle(ways)) {
        signal.throwIfAborted();
        const passage = await sendThrough(way, packets);
        samples.push({ peer: way.peer, round, ...passage, ...(way.peer === 'ours' ? { attached } : {}) });
      }
    }
    return samples;
  } finally {
    for (const { line, far } of ways) {
      line.generator.close();
      far.close();
    }
  }
}

/** What the node itself answers is not what was sent on. */
async function sendThrough({ netns, line }: Way, packets: number): Promise<Passage> {
  const before = await resetsOf(netns);
  const passage = await send(line, FRAMES.name, packets);
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
async function writePorts(bed: ServiceBed): Promise<void> {
  await putServices(bed, servicesFor(bed, SERVICE_NODE));
  for (const node of bed.netfilter) {
    await replaceRules(node, servicesFor(bed, node.peer));
  }
}

function servicesFor({ plan }: ServiceBed, node: string) {
  const { addresses } = stationOf(plan, `${node}-out`);
  const backends = [{ address: addresses.ipv4, port: BACKEND_PORT }];
  const own = ownService(4, { name: 'node-port', nodePort: NODE_PORT, backends });
  return listServices({ count: SERVICES, backends: 3, inTheMiddle: [own] });
}

async function openWay(peer: NodePortPeer, { plan, cpu }: ServiceBed): Promise<Way> {
  const name = peer === 'ours' ? SERVICE_NODE : peer;
  const [node, outside] = [stationOf(plan, name), stationOf(plan, `${name}-out`)];
  const path: PodPath = {
    pod: { netns: outside.netns, address: outside.addresses.ipv4 },
    node: { netns: node.netns, device: UPLINK },
    outside: { netns: outside.netns, address: node.addresses.ipv4 },
  };
  await requireConnection(peer, { netns: outside.netns, address: node.addresses.ipv4, port: NODE_PORT });
  const far = await openCounter({ netns: outside.netns, cpu });
  const line = await openLine(path, { cpu, far });
  await loadFrames(line, FRAMES, 100);
  return { peer, netns: node.netns, line, far };
}

async function attachedOf({ node }: ServiceBed): Promise<string> {
  const attachments = (await askAgent(node))?.state.attachments ?? [];
  return attachments
    .filter(({ target }) => target === UPLINK)
    .map(({ program, kind }) => `${program} by ${kind}`)
    .join(', ');
}
