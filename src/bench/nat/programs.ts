// What translation costs a packet of an established flow, and what the search for a port comes to.
import type { Endpoint } from '../../model/endpoint.js';
import { DEFAULT_BLOCK_SIZE } from '../../model/network.js';
import { UPLINK } from '../../testbed/node.js';
import { askAgent } from '../../testbed/node-agent.js';
import { bpffsOf } from '../../testbed/node-home.js';
import { type Inside, openInside } from '../inside.js';
import { linkIn } from '../links.js';
import type { NodeView } from '../loaded.js';
import { type BenchNode, SERVER_PORT, stationOf } from '../plan.js';
import type { Arrival } from '../program-cost.js';
import { shuffle } from '../statistics.js';
import { addressOf, type NatBed } from './bed.js';
import { nodeOf } from './plan.js';
import type { ProbesAnswer, ProbesQuestion } from './port-search.js';
import type { TranslationQuestion, WayCase } from './translation.js';

export type FamilyName = 'ipv4' | 'ipv6';

export interface NatProgramSample {
  readonly node: 'flat' | 'island';
  readonly family: FamilyName;
  readonly direction: 'out' | 'in';
  /** Established ones in the table, met in random order; 1 without translation. */
  readonly flows: number;
  readonly round: number;
  /** Of one run, what running a program costs by itself included. */
  readonly nanoseconds: number;
}

export interface NatProgramOptions {
  readonly bed: NatBed;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

/** A table that is in the cache, and larger ones. */
export const TABLE_SIZES = [2, 1024, 51_200] as const;
const FILLS = [0.5, 0.9, 0.97];
const POD_PORT = 40_000;
const FAMILY_NAMES = ['ipv4', 'ipv6'] as const;
const DIRECTIONS = ['out', 'in'] as const;

type Kind = Omit<NatProgramSample, 'round' | 'nanoseconds'>;

export async function measureNatPrograms({ bed, rounds, signal }: NatProgramOptions): Promise<NatProgramSample[]> {
  const kinds = [...kindsOf('flat', [1]), ...kindsOf('island', TABLE_SIZES)];
  const insides = new Map<string, Inside>();
  try {
    for (const name of ['flat', 'island'] as const) insides.set(name, await openNode(name, kinds, bed));
    const samples: NatProgramSample[] = [];
    for (let round = 1; round <= rounds; round++) {
      for (const kind of shuffle(kinds)) {
        signal.throwIfAborted();
        const question: TranslationQuestion = { measure: nameOf(kind) };
        const nanoseconds = await insides.get(kind.node)?.ask<number>(question);
        samples.push({ ...kind, round, nanoseconds: nanoseconds ?? Number.NaN });
      }
    }
    return samples;
  } finally {
    for (const inside of insides.values()) inside.close();
  }
}

/** From random ports of one pod towards one remote. */
export async function measureProbes(bed: NatBed, trials: number): Promise<ProbesAnswer[]> {
  const node = nodeOf(bed.plan, 'island');
  const place = await lookAt(node, bed);
  const inside = openInside({ job: 'translation', netns: node.netns, cpu: bed.cpu });
  try {
    const open: TranslationQuestion = { open: viewOf(node, place), cases: [] };
    await inside.ask<number>(open);
    const arrival = fromPod(place, 'ipv4');
    const probes: ProbesQuestion = { arrival, block: DEFAULT_BLOCK_SIZE, fills: FILLS, trials };
    return await inside.ask<ProbesAnswer[]>({ probes });
  } finally {
    inside.close();
  }
}

/** Large tables by IPv4 alone: the entries of both families are alike. */
function kindsOf(node: Kind['node'], sizes: readonly number[]): Kind[] {
  const all = FAMILY_NAMES.flatMap((family) =>
    DIRECTIONS.flatMap((direction) => sizes.map((flows) => ({ node, family, direction, flows }))),
  );
  return all.filter(({ family, flows }) => family === 'ipv4' || flows <= 2);
}

function nameOf({ family, direction, flows }: Kind): string {
  return `${family} ${direction}, ${flows} flows`;
}

async function openNode(name: Kind['node'], kinds: readonly Kind[], bed: NatBed): Promise<Inside> {
  const node = nodeOf(bed.plan, name);
  const place = await lookAt(node, bed);
  const cases = kinds.filter((kind) => kind.node === name).map((kind) => caseOf(kind, place));
  const inside = openInside({ job: 'translation', netns: node.netns, cpu: bed.cpu });
  const question: TranslationQuestion = { open: viewOf(node, place), cases };
  await inside.ask<number>(question);
  return inside;
}

function caseOf(kind: Kind, place: Place): WayCase {
  const { family, direction, flows, node } = kind;
  const arrival = direction === 'out' ? fromPod(place, family) : fromWire(place, family);
  const translated = node === 'island' ? { opening: fromPod(place, family) } : {};
  return { name: nameOf(kind), direction, arrival, flows, ...translated };
}

/** Where packets of a node come from and go to. */
export interface Place {
  readonly pod: Endpoint;
  readonly gatewayMac: string;
  readonly uplink: { readonly ifindex: number; readonly mtu: number; readonly mac: string };
  readonly outside: { readonly mac: string; readonly addresses: Readonly<Record<FamilyName, string>> };
}

/** Throws when the agent does not answer. */
export async function lookAt(node: BenchNode, { plan }: NatBed): Promise<Place> {
  const pod = (await askAgent(node))?.endpoints[0];
  if (!pod) throw new Error(`the agent of ${node.name} does not answer, or has no pod`);
  const outside = stationOf(plan, `${node.name}-out`);
  return {
    pod,
    gatewayMac: linkIn(node.netns, pod.hostInterface).mac,
    uplink: linkIn(node.netns, UPLINK),
    outside: { mac: linkIn(outside.netns, UPLINK).mac, addresses: outside.addresses },
  };
}

/** For programs that are loaded once more. */
export function viewOf(node: BenchNode, { gatewayMac, uplink }: Place): NodeView {
  return {
    node: node.name,
    manifests: `${node.stateDir}/manifests`,
    bpffs: bpffsOf(node),
    gatewayMac,
    uplink: { ifindex: uplink.ifindex, mtu: uplink.mtu, mac: uplink.mac },
  };
}

function fromPod({ pod, gatewayMac, outside }: Place, family: FamilyName): Arrival {
  return {
    ifindex: pod.ifindex,
    packet: {
      sourceMac: pod.mac,
      destinationMac: gatewayMac,
      source: { address: addressOf(pod, family), port: POD_PORT },
      destination: { address: outside.addresses[family], port: SERVER_PORT },
    },
  };
}

function fromWire({ pod, uplink, outside }: Place, family: FamilyName): Arrival {
  return {
    ifindex: uplink.ifindex,
    packet: {
      sourceMac: outside.mac,
      destinationMac: uplink.mac,
      source: { address: outside.addresses[family], port: SERVER_PORT },
      destination: { address: addressOf(pod, family), port: POD_PORT },
    },
  };
}
