// How long Services take from objects to the kernel: ours step by step and by the agent, netfilter's by its tools.

import { openPinnedMap } from '../../bpf/map.js';
import { loadNative } from '../../bpf/native.js';
import type { Service, ServiceKey } from '../../datapath/types.gen.js';
import { pause } from '../../testbed/command.js';
import { TestbedError } from '../../testbed/error.js';
import { askAgent } from '../../testbed/node-agent.js';
import { bpffsOf } from '../../testbed/node-home.js';
import { type Inside, openInside } from '../inside.js';
import { shuffle } from '../statistics.js';
import { putServices, removeServices, type ServiceBed, writeServices } from './bed.js';
import { applyRules, changedRules, fillRules, type NetfilterNode } from './netfilter.js';
import type { NetfilterPeer } from './plan.js';
import type { ChangeAnswer, FillAnswer, ProgrammerQuestion } from './programmer.js';
import { fillBackend, listServices, ownService, SERVICE_PORT } from './services.js';

/** So many Services with so many backends each. */
export interface Table {
  readonly services: number;
  readonly backends: number;
}

export interface FillSample extends Table, FillAnswer {
  readonly round: number;
}

export interface ChangesSample extends Table {
  readonly round: number;
  readonly changes: readonly ChangeAnswer[];
}

/** A tool of netfilter's: all Services from nothing, then one Service whose backends become others. */
export interface ToolSample extends Table {
  readonly peer: NetfilterPeer;
  readonly round: number;
  /** Milliseconds. */
  readonly full: number;
  readonly change: number;
}

/** By the agent itself, from the file. */
export interface AgentSample extends Table {
  /** Milliseconds from the file's being there to the end of the last write. */
  readonly full: number;
  /** The same of changes of one endpoint, until the map has it. */
  readonly changes: readonly number[];
  /** Resident set of the agent without Services, and with them, bytes. */
  readonly rssBefore: number;
  readonly rssAfter: number;
}

export interface ProgrammingSamples {
  readonly fills: readonly FillSample[];
  readonly changes: readonly ChangesSample[];
  readonly tools: readonly ToolSample[];
  readonly agent: readonly AgentSample[];
}

export interface ProgrammingOptions {
  readonly bed: ServiceBed;
  readonly rounds: number;
  /** Of one endpoint, in a round. */
  readonly changes: number;
  /** Most Services that iptables-nft and nft are given: their time grows with the square. */
  readonly nftLimit: number;
  readonly signal: AbortSignal;
  readonly onStep: (text: string) => void;
}

/** What netfilter is compared by. */
export const COMPARED: Table = { services: 5000, backends: 3 };
/** A large cluster. */
export const LARGE: Table = { services: 10_000, backends: 10 };
const TABLES: readonly Table[] = [{ services: 1000, backends: 3 }, COMPARED, LARGE, { services: 30_000, backends: 3 }];
const AGENT_CHANGES = 20;
const CHANGE_MS = 10_000;
/** The largest table on a busy machine. */
const ANSWER_MS = 120_000;

export async function measureProgramming(options: ProgrammingOptions): Promise<ProgrammingSamples> {
  const { bed } = options;
  // Not in real time: an agent is not, and the runtime's helpers compile and collect meanwhile.
  const inside = openInside({
    job: 'programmer',
    netns: bed.node.netns,
    cpu: bed.cpu,
    realTime: false,
    answerMs: ANSWER_MS,
  });
  const samples = { fills: [] as FillSample[], changes: [] as ChangesSample[], tools: [] as ToolSample[] };
  try {
    for (let round = 1; round <= options.rounds; round++) {
      options.onStep(`round ${round} of ${options.rounds}`);
      for (const table of shuffle(TABLES)) await measureOurs(inside, table, { ...options, round, samples });
      for (const node of shuffle(bed.netfilter)) samples.tools.push(await measureTool(node, round, options));
    }
  } finally {
    inside.close();
  }
  options.onStep('by the agent, from files');
  return { ...samples, agent: [await measureAgent(options)] };
}

interface Ours extends ProgrammingOptions {
  readonly round: number;
  readonly samples: { readonly fills: FillSample[]; readonly changes: ChangesSample[] };
}

async function measureOurs(
  inside: Inside,
  table: Table,
  { bed, round, changes, signal, samples }: Ours,
): Promise<void> {
  signal.throwIfAborted();
  const fill: ProgrammerQuestion = { fill: { node: bed.node, ...table } };
  samples.fills.push({ ...table, round, ...(await inside.ask<FillAnswer>(fill)) });
  const question: ProgrammerQuestion = { changes };
  samples.changes.push({ ...table, round, changes: await inside.ask<ChangeAnswer[]>(question) });
}

async function measureTool(node: NetfilterNode, round: number, options: ProgrammingOptions): Promise<ToolSample> {
  options.signal.throwIfAborted();
  const count = Math.min(COMPARED.services, node.peer === 'iptables-legacy' ? Infinity : options.nftLimit);
  const services = listServices({ count, backends: COMPARED.backends });
  const full = await fillRules(node, services);
  const before = services[Math.floor(count / 2)];
  if (before === undefined) throw new TestbedError('there is no Service to change');
  const after = { ...before, backends: [fillBackend(900_000 + round), ...before.backends.slice(1)] };
  const change = await applyRules(changedRules(node, services, { before, after }), node);
  return { peer: node.peer, round, services: count, backends: COMPARED.backends, full, change };
}

async function measureAgent({ bed, signal }: ProgrammingOptions): Promise<AgentSample> {
  await removeServices(bed);
  const rssBefore = await rssOf(bed);
  const full = await putServices(bed, listServices({ count: LARGE.services, backends: LARGE.backends }));
  const changes = await measureAgentChanges(bed, signal);
  const rssAfter = await rssOf(bed);
  await removeServices(bed);
  return { ...LARGE, full, changes, rssBefore, rssAfter };
}

async function rssOf({ node }: ServiceBed): Promise<number> {
  const status = await askAgent(node);
  if (!status) throw new TestbedError(`the agent of ${node.name} does not answer`);
  return status.rssBytes;
}

/** One Service in a file of its own, whose backend becomes another; seen by its generation in the map. */
async function measureAgentChanges({ node }: ServiceBed, signal: AbortSignal): Promise<number[]> {
  const own = (number: number) => ownService(9, { name: 'changing', backends: [fillBackend(800_000 + number)] });
  const key: ServiceKey = { address: own(0).clusterIP, port: SERVICE_PORT, protocol: 6 };
  using map = openPinnedMap<ServiceKey, Service>(loadNative(), `${bpffsOf(node)}/services`);
  const generation = (): number => map.get(key)?.sets[0]?.generation ?? -1;
  const times: number[] = [];
  for (let number = 0; number <= AGENT_CHANGES; number++) {
    signal.throwIfAborted();
    const before = generation();
    writeServices(node, 'changing.json', [own(number)]);
    const started = performance.now();
    while (generation() === before) {
      if (performance.now() - started > CHANGE_MS) throw new TestbedError('a change of one endpoint is not in the map');
      await pause(0);
    }
    // The first one is a new Service.
    if (number > 0) times.push(performance.now() - started);
  }
  return times;
}
