// `isthmus lab`: two clusters, a router and the outside on this machine, in network namespaces.
import { type Command, Option } from 'commander';
import type { LabMode } from '../../lab/plan.js';
import type { LabRecord } from '../../lab/record.js';
import type { LabCheck, Row } from '../../lab/row.js';
import type { LabStatus } from '../../lab/status.js';
import type { AgentChoices } from '../../testbed/node.js';
import { createOutput } from '../context.js';
import { EXIT } from '../exit.js';
import { addGlobalOptions, type GlobalOptions, globalOptions, parseCount } from '../options.js';
import { type Noun, printList } from '../output.js';

interface UpOptions extends AgentChoices {
  readonly mode: LabMode;
}

interface ThoroughOptions {
  /** Seconds. */
  readonly replaceFor: number;
}

interface RunOptions extends AgentChoices, ThoroughOptions {
  readonly mode: LabMode | 'both';
}

interface DownOptions {
  readonly whenStdinCloses?: true;
  readonly lab?: string;
}

const MODES: readonly LabMode[] = ['island', 'flat'];
const SIGNAL_EXIT: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const OK_COLOURS = { yes: 'green', no: 'red' } as const;

const CASES: Noun = {
  kind: 'LabCheck',
  empty: 'No cases.',
  columns: [
    { header: 'OK', path: 'ok', as: 'yes', colours: OK_COLOURS },
    { header: 'CASE', path: 'name' },
    { header: 'FAMILY', path: 'family' },
    { header: 'PROTO', path: 'protocol' },
    { header: 'FROM', path: 'from' },
    { header: 'TO', path: 'to' },
    { header: 'SERVER SAW', path: 'saw' },
    { header: 'EXPECTED', path: 'expected' },
    { header: 'MS', path: 'ms', as: 'number' },
    { header: 'DETAIL', path: 'detail' },
  ],
};

const PLACES: Noun = {
  kind: 'LabStatus',
  empty: 'No lab.',
  columns: [
    { header: 'OK', path: 'ok', as: 'yes', colours: OK_COLOURS },
    { header: 'NAME', path: 'name' },
    { header: 'KIND', path: 'kind' },
    { header: 'IPV4', path: 'ipv4' },
    { header: 'IPV6', path: 'ipv6' },
    { header: 'STATE', path: 'state' },
    { header: 'NAMESPACE', path: 'netns' },
  ],
};

/** Adds the verbs of `isthmus lab`. */
export function register(command: Command): void {
  addUpOptions(command.command('up').description('build the lab; one that exists is taken down first')).action(up);
  addGlobalOptions(command.command('check').description('run every check on the lab that is up'))
    .addOption(replaceForOption())
    .addHelpText('after', '\nExit code 0: all checks are good; 1: at least one is not.')
    .action((chosen: ThoroughOptions, self: Command) => check(chosen, globalOptions(self)));
  command
    .command('exec')
    .description('run a program in a pod (c1/a), on a node (c1-n1) or outside (client, server, router)')
    .argument('<place>')
    .argument('<command...>', 'the program and its arguments, behind --')
    .passThroughOptions()
    .action(exec);
  addGlobalOptions(command.command('status').description('what of the lab is there')).action(
    (_options, self: Command) => status(globalOptions(self)),
  );
  command
    .command('down')
    .description('remove the lab: processes, mounts, cgroups, namespaces, files')
    .addOption(new Option('--when-stdin-closes', 'wait for that before').hideHelp())
    .addOption(new Option('--lab <id>', 'only this very lab').hideHelp())
    .action(down);
  addGlobalOptions(command.command('run').description('up, the picture, check, down; one mode after the other'))
    .addOption(new Option('--mode <mode>', 'how IPv4 pods are addressed').choices([...MODES, 'both']).default('island'))
    .addOption(attachOption())
    .addOption(socketsOption())
    .addOption(xdpOption())
    .addOption(replaceForOption())
    .addHelpText('after', '\nExit code 0: all checks are good; 1: at least one is not.')
    .action((options: RunOptions, self: Command) => run(options, globalOptions(self)));
}

function addUpOptions(command: Command): Command {
  return command
    .addOption(new Option('--mode <mode>', 'how IPv4 pods are addressed').choices(MODES).default('island'))
    .addOption(attachOption())
    .addOption(socketsOption())
    .addOption(xdpOption());
}

function attachOption(): Option {
  return new Option('--attach <how>', 'kind of attachment').choices(['auto', 'tcx', 'clsact']).default('auto');
}

function socketsOption(): Option {
  return new Option('--sockets <when>', 'services at the socket, or by packets only')
    .choices(['auto', 'never'])
    .default('auto');
}

function xdpOption(): Option {
  return new Option('--xdp <how>', 'packets that go back to the wire before the stack')
    .choices(['auto', 'native', 'generic', 'never'])
    .default('auto');
}

function replaceForOption(): Option {
  return new Option('--replace-for <seconds>', 'how long agents and backends are replaced under traffic, at least')
    .argParser(parseCount)
    .default(0, 'once every agent');
}

async function up({ mode, attach, sockets, xdp }: UpOptions): Promise<void> {
  const { bringUp } = await import('../../lab/up.js');
  const { newRecord } = await import('../../lab/record.js');
  const record = newRecord(mode, { attach, sockets, xdp });
  await owned(record, true, async (signal) => {
    const built = await bringUp(record, { narrate, signal });
    await printPicture(built);
    process.stdout.write(`\nThe lab is up. Next:\n${nextCommands('isthmus lab check', 'isthmus lab down')}`);
  });
}

async function run({ mode, ...chosen }: RunOptions, options: GlobalOptions): Promise<void> {
  const results: LabCheck[] = [];
  for (const one of mode === 'both' ? MODES : [mode]) {
    const result = await runOne({ mode: one, ...chosen }, options);
    if (result === undefined) return;
    results.push(result);
  }
  if (options.format !== 'table') return;
  process.stdout.write(`\n${results.map((result) => `${verdict(result)}\n`).join('')}`);
  process.stdout.write(`\nTry it yourself:\n${nextCommands('isthmus lab up', 'isthmus lab down')}`);
}

/** undefined when a signal ended it. */
async function runOne(
  { mode, attach, sockets, xdp, replaceFor }: UpOptions & ThoroughOptions,
  options: GlobalOptions,
): Promise<LabCheck | undefined> {
  const { bringUp } = await import('../../lab/up.js');
  const { checkLab } = await import('../../lab/check.js');
  const { newRecord } = await import('../../lab/record.js');
  const record = newRecord(mode, { attach, sockets, xdp });
  let result: LabCheck | undefined;
  const done = await owned(record, false, async (signal) => {
    const built = await bringUp(record, { narrate, signal });
    if (options.format === 'table') await printPicture(built);
    result = await checkLab(built, { narrate, signal, replaceFor });
    await printCheck(result, options);
    narrate('taking the lab down');
  });
  return done ? result : undefined;
}

async function check({ replaceFor }: ThoroughOptions, options: GlobalOptions): Promise<void> {
  const { requireRecord } = await import('../../lab/record.js');
  const { checkLab } = await import('../../lab/check.js');
  const signal = new AbortController().signal;
  await printCheck(await checkLab(requireRecord(), { narrate, signal, replaceFor }), options);
}

async function exec(place: string, argv: string[]): Promise<void> {
  const { requireRecord } = await import('../../lab/record.js');
  const { execIn } = await import('../../lab/exec.js');
  process.exitCode = await execIn(requireRecord(), place, argv);
}

async function status(options: GlobalOptions): Promise<void> {
  const { requireRecord } = await import('../../lab/record.js');
  const { labStatus } = await import('../../lab/status.js');
  const found = await labStatus(requireRecord());
  await printDocument(found, options, () => printList(createOutput(options, false), PLACES, found.items));
  if (found.items.some((item) => !item.ok)) process.exitCode = EXIT.unhealthy;
}

async function down({ whenStdinCloses, lab = '' }: DownOptions): Promise<void> {
  const { takeDown } = await import('../../lab/down.js');
  const { reap } = await import('../../lab/reaper.js');
  const left = whenStdinCloses ? await reap(lab) : await takeDown();
  for (const one of left) process.stderr.write(`could not remove ${one}\n`);
  if (left.length > 0) process.exitCode = EXIT.unhealthy;
}

/** Does work whose end, by success or by a signal, decides about the lab; false when it was a signal. */
async function owned(record: LabRecord, keep: boolean, work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
  const { withOwnedLab } = await import('../../lab/owner.js');
  const { InterruptedError } = await import('../../testbed/owner.js');
  try {
    await withOwnedLab({ id: record.id, keep, work });
    return true;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    narrate(error.message);
    process.exitCode = SIGNAL_EXIT[error.signal] ?? EXIT.unhealthy;
    return false;
  }
}

async function printPicture(record: LabRecord): Promise<void> {
  const { drawPicture } = await import('../../lab/picture.js');
  const { planLab } = await import('../../lab/plan.js');
  process.stdout.write(`\n${drawPicture(planLab(record.mode), record).join('\n')}\n`);
}

async function printCheck(result: LabCheck, options: GlobalOptions): Promise<void> {
  await printDocument(result, options, () => printList(createOutput(options, false), CASES, result.cases));
  process.stderr.write(`\n${verdict(result)}\n`);
  for (const row of result.cases) if (!row.ok) process.stderr.write(`  ${describe(row)}\n`);
  if (result.summary.failed > 0) process.exitCode = EXIT.unhealthy;
}

function verdict({ mode, summary: { total, ok, failed, seconds } }: LabCheck): string {
  const word = failed === 0 ? 'ALL GOOD' : 'NOT GOOD';
  return `${mode}: ${word}: ${ok} of ${total} checks are good, ${failed} are not, in ${seconds} s`;
}

function describe(row: Row): string {
  const seen = row.saw === '-' ? '' : ` saw ${row.saw},`;
  return `${row.name} (${row.family} ${row.protocol} ${row.from} -> ${row.to}):${seen} expected ${row.expected}; ${row.detail}`;
}

/** A document of its own shape as json or yaml; everything else is a table. */
async function printDocument(
  document: LabCheck | LabStatus,
  options: GlobalOptions,
  table: () => unknown,
): Promise<void> {
  if (options.format === 'json') {
    process.stdout.write(`${JSON.stringify(document, undefined, 2)}\n`);
  } else if (options.format === 'yaml') {
    const { stringify } = await import('yaml');
    process.stdout.write(stringify(document));
  } else {
    await table();
  }
}

/** What to try on a lab that is up, between two commands. */
function nextCommands(first: string, last: string): string {
  const commands = [
    first,
    'isthmus lab exec c1/a -- ping -c 3 198.51.100.30',
    'isthmus status',
    'isthmus endpoint list',
    'isthmus nat list',
    'isthmus drop list',
    last,
  ];
  return commands.map((command) => `  npx ${command}\n`).join('');
}

function narrate(line: string): void {
  process.stderr.write(`lab: ${line}\n`);
}
