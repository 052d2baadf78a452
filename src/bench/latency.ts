// How long a transaction takes, peer by peer, in rounds of random order.
import { ALL_TESTS, type Client, type ClientOutcome, runClient, type Test } from './clients.js';
import { forgetFlows } from './forget.js';
import type { Peer, PeerName } from './peers.js';
import { type BenchPlan, SERVER_PORT } from './plan.js';
import type { PathTime } from './report.js';
import { measureInRounds, type Rounds } from './rounds.js';
import { summarizeRuns } from './times.js';

/** One short run. Of one that failed there is no time, and its peer is named as missing with the reason. */
export interface LatencySample extends ClientOutcome {
  readonly peer: PeerName;
  readonly test: Test;
  /** Connections with a request each under way; one when absent. */
  readonly flows?: number;
  readonly round: number;
}

/** What is done with whom. */
export interface LatencyRun {
  readonly peer: Peer;
  readonly test: Test;
  readonly flows?: number;
}

export interface LatencyOptions extends Rounds {
  readonly plan: BenchPlan;
  readonly runs: readonly LatencyRun[];
}

/** Flows that a run of `udp_first` opens, each from a port of its own: together half of a pod's block. */
const FIRST_PACKETS = 127;
const FIRST_PORT = 20_000;

export function measureLatency(options: LatencyOptions): Promise<LatencySample[]> {
  return measureInRounds(options, { runs: options.runs, workloadOf }, async ({ peer, ...workload }, round) => {
    const client = clientOf({ peer, ...workload }, round);
    // Ports are others in every round, but a pod has no more of them than its block has.
    if (workload.test === 'udp_first') await forgetFlows(options.plan, peer.name);
    const outcome = await runClient(client, { ...options, serverPid: options.servers.get(peer.server.netns) });
    return { peer: peer.name, ...workload, round, ...outcome };
  });
}

/** What is compared with each other only. */
function workloadOf({ test, flows = 1 }: Pick<LatencyRun, 'test' | 'flows'>): string {
  return `${test} ${flows}`;
}

function clientOf({ peer: { client, server }, test, flows }: LatencyRun, round: number): Client {
  const sources = { port: FIRST_PORT + (round - 1) * (FIRST_PACKETS + 1), count: FIRST_PACKETS };
  return {
    ...{ netns: client, address: server.address, port: SERVER_PORT, test },
    ...(flows === undefined ? {} : { flows }),
    ...(test === 'udp_first' ? { sources } : {}),
  };
}

/** How long transactions take with each peer, in their order. */
export function timesOf(latency: readonly LatencySample[], peers: readonly Pick<Peer, 'name' | 'title'>[]): PathTime[] {
  return peers.flatMap(({ name, title }) =>
    ALL_TESTS.flatMap((test) => {
      const runs = latency.filter((sample) => sample.peer === name && sample.test === test);
      return [...Map.groupBy(runs, ({ flows }) => flows)].flatMap(([flows, some]) => {
        const size = flows === undefined ? {} : { size: { of: 'connections', count: flows } };
        return summarizeRuns({ path: name, title, test, ...size }, some) ?? [];
      });
    }),
  );
}
