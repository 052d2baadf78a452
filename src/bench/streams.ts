// How many bytes pass: TCP streams on one CPU, peer by peer, in rounds of random order.
import { askProbe, failedTroubles, type Troubles, troublesOf } from './clients.js';
import type { Peer, PeerName } from './peers.js';
import { SERVER_PORT } from './plan.js';
import { measureInRounds, type Rounds } from './rounds.js';

/** One short run. Of one that failed there is no rate. */
export interface StreamSample extends Troubles {
  readonly peer: PeerName;
  /** Connections that have their turns. */
  readonly flows: number;
  readonly round: number;
  /** Of payload that the server's kernel acknowledged, all flows together; not a number after a failure. */
  readonly gigabitsPerSecond: number;
}

/** What is done with whom. */
export interface StreamRun {
  readonly peer: Peer;
  readonly flows: number;
}

export interface StreamOptions extends Rounds {
  readonly runs: readonly StreamRun[];
}

export function measureStreams(options: StreamOptions): Promise<StreamSample[]> {
  const plan = { runs: options.runs, workloadOf: ({ flows }: StreamRun) => flows };
  return measureInRounds(options, plan, async (run, round) => {
    return { peer: run.peer.name, flows: run.flows, round, ...(await stream(run, options)) };
  });
}

interface Said extends Troubles {
  readonly bytes: number;
  readonly megabitsPerSecond: number;
}

type Outcome = Omit<StreamSample, 'peer' | 'flows' | 'round'>;

async function stream({ peer, flows }: StreamRun, { seconds, cpu, servers }: StreamOptions): Promise<Outcome> {
  const { netns, address } = peer.server;
  const words = ['stream', address, String(SERVER_PORT), '--seconds', String(seconds), '--flows', String(flows)];
  const said = await askProbe<Said>({ netns: peer.client, words }, { cpu, serverPid: servers.get(netns) });
  if ('failure' in said) return { gigabitsPerSecond: Number.NaN, ...failedTroubles(said.failure, said.server) };
  const failed = said.errors > 0 || said.bytes === 0;
  return { gigabitsPerSecond: failed ? Number.NaN : said.megabitsPerSecond / 1000, ...troublesOf(said) };
}
