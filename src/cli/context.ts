// What every reading command starts with: its options, where to print, and the instances it speaks about.
import type { Command } from 'commander';
import { findStateDirs, type Instance, openInstance } from '../api/instances.js';
import { CliError, EXIT, notFound } from './exit.js';
import { type GlobalOptions, globalOptions } from './options.js';
import { note, type Output } from './output.js';

export interface Context {
  readonly options: GlobalOptions;
  readonly instances: readonly Instance[];
  readonly output: Output;
}

/** Opens the wanted instances, and says on stderr which of them are read without their agent. Throws CliError. */
export async function openContext(command: Command): Promise<Context> {
  const options = globalOptions(command);
  const instances = await openInstances(options);
  const output = createOutput(options, instances.length > 1);
  for (const instance of instances) {
    if (instance.agentError === undefined) continue;
    note(output, `the agent of node ${instance.node} is down; reading pinned maps in ${instance.state.bpffs}`);
  }
  return { options, instances, output };
}

/** The instances that the options name. Throws CliError when there is none. */
export async function openInstances({ stateDir, node }: GlobalOptions): Promise<Instance[]> {
  const stateDirs = await findStateDirs(stateDir);
  if (stateDirs.length === 0) throw new CliError(EXIT.unreachable, NO_INSTANCE);
  const instances = await Promise.all(stateDirs.map((directory) => openInstance(directory).catch(explain)));
  if (node === undefined) return instances;
  const wanted = instances.filter((instance) => instance.node === node);
  if (wanted.length > 0) return wanted;
  throw notFound(`no dataplane of node '${node}' here: there is ${instances.map((each) => each.node).join(', ')}`);
}

const START = 'start one with `isthmus agent --node NAME --source DIR` or `isthmus lab up`';
const NO_INSTANCE =
  'no dataplane on this machine: neither /run/isthmus/state.json nor /run/isthmus/lab/*/state.json exists; ' +
  `${START}, or name its directory with --state-dir`;

const ADVICE: Readonly<Record<string, string>> = {
  ERR_STATE_MISSING: `; ${START}, or name another directory with --state-dir`,
  ERR_STATE_INVALID: '; restart the agent, which writes the file again',
  ERR_STATE_PERMISSION: '; run as root or as a member of the group of the file',
};

function explain(error: unknown): never {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const advice = ADVICE[code];
  if (advice === undefined) throw error;
  const exitCode = code === 'ERR_STATE_PERMISSION' ? EXIT.permission : EXIT.unreachable;
  throw new CliError(exitCode, `${(error as Error).message}${advice}`, { cause: error });
}

export function createOutput(options: GlobalOptions, nodes: boolean): Output {
  const { stdout, stderr } = process;
  const colour = stdout.isTTY === true && process.env.NO_COLOR === undefined && process.env.TERM !== 'dumb';
  return { stdout, stderr, nodes, colour, format: options.format, headers: options.headers };
}
