// `isthmus bench`: this datapath beside the physical limit, the kernel's forwarding and netfilter, on this machine.
import { type Command, Option } from 'commander';
import type { Section } from '../../bench/goals.js';
import { SECTIONS } from '../../bench/goals.js';
import type { BenchReport } from '../../bench/report.js';
import { createOutput } from '../context.js';
import { EXIT, usage } from '../exit.js';
import { globalOptions, parseCount } from '../options.js';
import { printList } from '../output.js';
import { describeRun, PEERS, peerRow, RESULTS, resultRow } from '../view/bench.js';

interface BenchFlags {
  readonly quick?: true;
  readonly rounds?: number;
  readonly only?: readonly Section[];
  readonly whenStdinCloses?: string;
}

const FORMATS: readonly string[] = ['table', 'json'];
const SIGNAL_EXIT: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
/** Parts whose absence means that something could not be measured; a peer may be missing. */
const PARTS: readonly string[] = ['latency', 'packets', 'programs', 'memory'];

/** Adds the options and the action of `isthmus bench`. */
export function register(command: Command): void {
  command
    .addOption(new Option('-o, --output <format>', 'how to print (default: table)').choices(FORMATS))
    .option('--quick', 'fewer and shorter rounds: under three minutes')
    .option('--rounds <count>', 'rounds of each measurement', parseCount)
    .option('--only <names>', `only these, separated by commas: ${SECTIONS.join(', ')}`, parseSections)
    .addOption(new Option('--when-stdin-closes <id>', 'wait for that, then remove what the run left').hideHelp())
    .addHelpText(
      'after',
      '\nExit code 0: it was measured, whether or not the goals are met; 1: something could not be.',
    )
    .action((flags: BenchFlags, self: Command) => bench(flags, globalOptions(self)));
}

function parseSections(text: string): Section[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !SECTIONS.some((section) => section === name));
  if (unknown.length > 0) throw usage(`--only: there is no '${unknown.join(', ')}'; there is ${SECTIONS.join(', ')}`);
  return SECTIONS.filter((section) => names.includes(section));
}

async function bench(flags: BenchFlags, { format }: { readonly format: string }): Promise<void> {
  if (flags.whenStdinCloses !== undefined) return reap(flags.whenStdinCloses);
  if (!FORMATS.includes(format)) throw usage(`-o ${format}: a benchmark is printed as ${FORMATS.join(' or ')}`);
  const { runBench } = await import('../../bench/run.js');
  const { InterruptedError } = await import('../../testbed/owner.js');
  const { quick = false, only = [], rounds } = flags;
  try {
    const report = await runBench({ quick, only, narrate, ...(rounds === undefined ? {} : { rounds }) });
    if (format === 'json') process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    else await printTables(report);
    if (report.missing.some(({ name }) => PARTS.includes(name))) process.exitCode = EXIT.unhealthy;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    narrate(error.message);
    process.exitCode = SIGNAL_EXIT[error.signal] ?? EXIT.unhealthy;
  }
}

async function reap(id: string): Promise<void> {
  const { reapBench } = await import('../../bench/run.js');
  const left = await reapBench(id);
  if (left.length > 0) process.exitCode = EXIT.unhealthy;
}

async function printTables(report: BenchReport): Promise<void> {
  const output = createOutput({ format: 'table', headers: true }, false);
  process.stdout.write(`${describeRun(report).join('\n')}\n\n`);
  await printList(output, RESULTS, report.results.map(resultRow));
  if (report.peers.length > 0) process.stdout.write('\n');
  await printList(output, PEERS, report.peers.map(peerRow));
}

function narrate(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}
