// CNI requests, as a runtime sends them, with the time that each took.
import { capture } from '../../testbed/command.js';
import { TestbedError } from '../../testbed/error.js';
import { PROBE } from '../../testbed/files.js';
import { pluginError } from '../reference-plugins.js';
import { shuffle } from '../statistics.js';
import type { CniBed, CniPeer, CniPlugin } from './bed.js';
import { type CniSection, POD_COUNTS } from './goals.js';

export type CniCommand = 'ADD' | 'DEL';

/** Requests that were sent at the same time. */
export interface CniSample {
  readonly peer: CniPeer;
  readonly section: CniSection;
  readonly command: CniCommand;
  readonly round: number;
  /** Of each, from the start of the plugin to its end. */
  readonly milliseconds: readonly number[];
}

interface MeasureOptions {
  readonly bed: CniBed;
  readonly section: CniSection;
  readonly rounds: number;
  readonly signal: AbortSignal;
}

/** Every round adds and deletes the same pods with each plugin. Throws TestbedError with what a plugin printed. */
export async function measureRequests({ bed, section, rounds, signal }: MeasureOptions): Promise<CniSample[]> {
  const samples: CniSample[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const plugin of shuffle(bed.plugins)) {
      for (const command of ['ADD', 'DEL'] as const) {
        signal.throwIfAborted();
        const milliseconds = await send({ bed, section, plugin, command });
        // The first of all finds nothing in any cache, nor the bridge: it is not counted.
        if (round > 0) samples.push({ peer: plugin.peer, section, command, round, milliseconds });
      }
    }
  }
  return samples;
}

interface Request extends Pick<MeasureOptions, 'bed' | 'section'> {
  readonly plugin: CniPlugin;
  readonly command: CniCommand;
}

async function send({ bed, section, plugin, command }: Request): Promise<number[]> {
  const lines = bed.pods.slice(0, POD_COUNTS[section]).map(({ name, netns, containerID }) => {
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=${name}`;
    const container = [`CNI_CONTAINERID=${containerID}`, `CNI_NETNS=/run/netns/${netns}`, `CNI_ARGS=${args}`];
    return [`CNI_COMMAND=${command}`, 'CNI_IFNAME=eth0', ...container].join('\t');
  });
  const { env, netns } = plugin;
  const { status, stdout, stderr } = await capture([PROBE, 'run', plugin.program, plugin.config], {
    env: { PATH: process.env.PATH, ...env },
    netns,
    input: `${lines.join('\n')}\n`,
  });
  const runs = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Run]));
  if (status === 0 && runs.length === lines.length && runs.every(({ ok }) => ok)) {
    return runs.map(({ nanoseconds }) => nanoseconds / 1e6);
  }
  const failed = runs.filter(({ ok }) => !ok).length;
  throw new TestbedError(`${plugin.peer}: ${failed} of ${lines.length} ${command} failed: ${pluginError(stderr)}`);
}

interface Run {
  readonly ok: boolean;
  readonly nanoseconds: number;
}
