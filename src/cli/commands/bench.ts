// `isthmus bench`: this datapath beside the physical limit, the kernel's forwarding and netfilter, on this machine.
import { type Command, Option } from 'commander';
import { CNI_SECTIONS, type CniSection } from '../../bench/cni/goals.js';
import type { CniBenchReport } from '../../bench/cni/report.js';
import type { Section } from '../../bench/goals.js';
import { SECTIONS } from '../../bench/goals.js';
import { NAT_SECTIONS, type NatSection } from '../../bench/nat/goals.js';
import type { NatBenchReport } from '../../bench/nat/report.js';
import type { BenchReport } from '../../bench/report.js';
import { SERVICE_SECTIONS, type ServiceSection } from '../../bench/service/goals.js';
import type { ServiceBenchReport } from '../../bench/service/report.js';
import { createOutput } from '../context.js';
import { EXIT, usage } from '../exit.js';
import { globalOptions, parseCount } from '../options.js';
import { printList } from '../output.js';
import { describeRun, PEERS, peerRow, RESULTS, resultRow } from '../view/bench.js';
import { CNI_RESULTS, describeCniRun } from '../view/bench-cni.js';
import { describeNatRun, NAT_RESULTS, natResultRow } from '../view/bench-nat.js';
import { describeServiceRun, SERVICE_RESULTS } from '../view/bench-service.js';

interface Flags<S extends string> {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly only?: readonly S[];
}

interface BenchFlags extends Flags<Section> {
  readonly whenStdinCloses?: string;
}

const FORMATS: readonly string[] = ['table', 'json'];
const SIGNAL_EXIT: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
/** Parts whose absence means that something could not be measured; a peer may be missing. */
const PARTS: readonly string[] = ['latency', 'packets', 'programs', 'memory'];

interface ServiceFlags extends Flags<ServiceSection> {
  readonly sizes?: readonly number[];
}

/** Adds the options and the action of `isthmus bench`, `isthmus bench nat`, `isthmus bench service` and `isthmus bench cni`. */
export function register(command: Command): void {
  addOptions(command, SECTIONS)
    .addOption(new Option('--when-stdin-closes <id>', 'wait for that, then remove what the run left').hideHelp())
    .action((flags: BenchFlags, self: Command) => bench(flags, globalOptions(self)));
  addOptions(command.command('nat'), NAT_SECTIONS)
    .description('measure translation: beside no translation and netfilter, and by its own limits')
    .action((flags: Flags<NatSection>, self: Command) => benchNat(flags, globalOptions(self)));
  addOptions(command.command('service'), SERVICE_SECTIONS)
    .description("measure Services: beside the pods themselves and kube-proxy's rules in netfilter")
    .option('--sizes <counts>', 'numbers of Services for latency, separated by commas', parseSizes)
    .action((flags: ServiceFlags, self: Command) => benchService(flags, globalOptions(self)));
  addOptions(command.command('cni'), CNI_SECTIONS)
    .description('measure how long a pod waits for its network: beside the reference plugins')
    .action((flags: Flags<CniSection>, self: Command) => benchCni(flags, globalOptions(self)));
}

function parseSizes(text: string): number[] {
  return text.split(',').map((count) => parseCount(count.trim()));
}

function addOptions(command: Command, sections: readonly string[]): Command {
  return command
    .addOption(new Option('-o, --output <format>', 'how to print (default: table)').choices(FORMATS))
    .option('--quick', 'fewer and shorter rounds: a few minutes')
    .option('--rounds <count>', 'rounds of each measurement', parseCount)
    .option('--only <names>', `only these, separated by commas: ${sections.join(', ')}`, (text) =>
      parseSections(text, sections),
    )
    .addHelpText(
      'after',
      '\nExit code 0: it was measured, whether or not the goals are met; 1: something could not be.',
    );
}

function parseSections<S extends string>(text: string, sections: readonly S[]): S[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !sections.some((section) => section === name));
  if (unknown.length > 0) throw usage(`--only: there is no '${unknown.join(', ')}'; there is ${sections.join(', ')}`);
  return sections.filter((section) => names.includes(section));
}

interface Format {
  readonly format: string;
}

async function bench(flags: BenchFlags, { format }: Format): Promise<void> {
  if (flags.whenStdinCloses !== undefined) return reap(flags.whenStdinCloses);
  const { runBench } = await import('../../bench/run.js');
  const { quick = false, only = [], rounds } = flags;
  const options = { quick, only, narrate, ...(rounds === undefined ? {} : { rounds }) };
  await report({ format, run: () => runBench(options), print: printTables, parts: PARTS });
}

async function benchNat({ quick = false, only = [], rounds }: Flags<NatSection>, { format }: Format): Promise<void> {
  const { runNatBench } = await import('../../bench/nat/run.js');
  const options = { quick, only, narrate, ...(rounds === undefined ? {} : { rounds }) };
  await report({ format, run: () => runNatBench(options), print: printNatTable, parts: NAT_SECTIONS });
}

async function benchService(
  { quick = false, only = [], sizes = [], rounds }: ServiceFlags,
  { format }: Format,
): Promise<void> {
  const { runServiceBench } = await import('../../bench/service/run.js');
  const options = { quick, only, sizes, narrate, ...(rounds === undefined ? {} : { rounds }) };
  await report({ format, run: () => runServiceBench(options), print: printServiceTable, parts: SERVICE_SECTIONS });
}

async function benchCni({ quick = false, only = [], rounds }: Flags<CniSection>, { format }: Format): Promise<void> {
  const { runCniBench } = await import('../../bench/cni/run.js');
  const options = { quick, only, narrate, ...(rounds === undefined ? {} : { rounds }) };
  await report({ format, run: () => runCniBench(options), print: printCniTable, parts: CNI_SECTIONS });
}

interface Reporting<R> extends Format {
  readonly run: () => Promise<R>;
  /** For people. */
  readonly print: (report: R) => Promise<void>;
  /** What must not be missing. */
  readonly parts: readonly string[];
}

async function report<R extends Pick<BenchReport, 'missing'>>({
  format,
  run,
  print,
  parts,
}: Reporting<R>): Promise<void> {
  if (!FORMATS.includes(format)) throw usage(`-o ${format}: a benchmark is printed as ${FORMATS.join(' or ')}`);
  const { InterruptedError } = await import('../../testbed/owner.js');
  try {
    const found = await run();
    if (format === 'json') process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
    else await print(found);
    if (found.missing.some(({ name }) => parts.includes(name))) process.exitCode = EXIT.unhealthy;
  } catch (error) {
    if (!(error instanceof InterruptedError)) throw error;
    narrate(error.message);
    process.exitCode = SIGNAL_EXIT[error.signal] ?? EXIT.unhealthy;
  }
}

async function reap(id: string): Promise<void> {
  const { reapBench } = await import('../../bench/owned.js');
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

async function printNatTable(report: NatBenchReport): Promise<void> {
  const output = createOutput({ format: 'table', headers: true }, false);
  process.stdout.write(`${describeNatRun(report).join('\n')}\n\n`);
  await printList(output, NAT_RESULTS, report.results.map(natResultRow));
}

async function printServiceTable(report: ServiceBenchReport): Promise<void> {
  const output = createOutput({ format: 'table', headers: true }, false);
  process.stdout.write(`${describeServiceRun(report).join('\n')}\n\n`);
  await printList(output, SERVICE_RESULTS, report.results.map(natResultRow));
}

async function printCniTable(report: CniBenchReport): Promise<void> {
  const output = createOutput({ format: 'table', headers: true }, false);
  process.stdout.write(`${describeCniRun(report).join('\n')}\n\n`);
  await printList(output, CNI_RESULTS, report.results.map(natResultRow));
}

function narrate(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}
