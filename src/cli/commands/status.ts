// `isthmus status`: is the dataplane of every node here what it should be?
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Instance } from '../../api/instances.js';
import { createOutput, openInstances } from '../context.js';
import { CliError, EXIT, exitCodeOf } from '../exit.js';
import { STATUS_LIST } from '../fields.js';
import { readFlowTable } from '../flow-table.js';
import { addGlobalOptions, type GlobalOptions, globalOptions, parseCount } from '../options.js';
import { printList } from '../output.js';
import { mapPins } from '../pins.js';
import { type KernelState, type StatusItem, viewStatus } from '../view/status.js';

const POLL_MILLISECONDS = 250;
const DEFAULT_TIMEOUT_SECONDS = 60;

interface StatusOptions {
  readonly wait?: true;
  readonly timeout?: number;
}

/** Adds the options and the action of `isthmus status`. */
export function register(command: Command): void {
  addGlobalOptions(command)
    .option('--wait', 'wait until every node is healthy')
    .option('--timeout <seconds>', `how long to wait (default: ${DEFAULT_TIMEOUT_SECONDS})`, parseCount)
    .addHelpText('after', '\nExit code 0: healthy; 1: unhealthy; 3: an agent does not answer.')
    .action((options: StatusOptions, self: Command) => showStatus(globalOptions(self), options));
}

async function showStatus(options: GlobalOptions, { wait, timeout }: StatusOptions): Promise<void> {
  const items = wait === true ? await waitForHealth(options, timeout) : await readStatus(options);
  await printList(createOutput(options, false), STATUS_LIST, items);
  for (const item of items) {
    for (const reason of item.reasons) process.stderr.write(`${item.node}: ${reason}\n`);
  }
  process.exitCode = exitCode(items);
}

function exitCode(items: readonly StatusItem[]): number {
  if (items.some((item) => item.agent.phase === 'down')) return EXIT.unreachable;
  return items.every((item) => item.health === 'healthy') ? EXIT.ok : EXIT.unhealthy;
}

async function readStatus(options: GlobalOptions): Promise<StatusItem[]> {
  const instances = await openInstances(options);
  return Promise.all(instances.map(async (instance) => viewStatus(instance, await kernelOf(instance), Date.now())));
}

async function kernelOf(instance: Instance): Promise<KernelState> {
  const flowTable = await readFlowTable(instance).catch(() => undefined);
  return { pins: await pinsOf(instance), flowTable };
}

async function pinsOf({ state }: Instance): Promise<readonly string[] | undefined> {
  return mapPins(state.bpffs).catch(() => undefined);
}

/** Polls until every node is healthy; at the deadline returns, or throws, what is the case then. */
async function waitForHealth(options: GlobalOptions, seconds = DEFAULT_TIMEOUT_SECONDS): Promise<StatusItem[]> {
  const deadline = Date.now() + seconds * 1000;
  for (let said = ''; ; ) {
    const late = Date.now() >= deadline;
    const items = await readStatus(options).catch((error: unknown) => retry(error, late));
    if (items?.every((item) => item.health === 'healthy') === true) return items;
    if (late && items !== undefined) return items;
    said = say(said, items);
    await sleep(POLL_MILLISECONDS);
  }
}

/** Before the deadline a dataplane that is not there yet is no error. */
function retry(error: unknown, late: boolean): undefined {
  const absent = error instanceof CliError && exitCodeOf(error) !== EXIT.permission;
  if (late || !absent) throw error;
}

function say(said: string, items: readonly StatusItem[] | undefined): string {
  const reasons = items?.flatMap((item) => item.reasons.map((reason) => `${item.node}: ${reason}`));
  const text = `waiting: ${reasons?.join('; ') ?? 'there is no dataplane yet'}\n`;
  if (text !== said) process.stderr.write(text);
  return text;
}
