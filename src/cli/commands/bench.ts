// `isthmus bench`: this datapath beside the physical limit, the kernel's forwarding, netfilter and a bridge, here.
import { type Command, Option } from 'commander';
import { CNI_SECTIONS, type CniSection } from '../../bench/cni/goals.js';
import type { Section } from '../../bench/goals.js';
import { SECTIONS } from '../../bench/goals.js';
import { NAT_SECTIONS, type NatSection } from '../../bench/nat/goals.js';
import { SERVICE_SECTIONS, type ServiceSection } from '../../bench/service/goals.js';
import { FORMATS, narrate, runAndReport } from '../bench-run.js';
import { EXIT, usage } from '../exit.js';
import { globalOptions, parseCount } from '../options.js';

interface Flags<S extends string> {
  readonly quick?: boolean;
  readonly rounds?: number;
  readonly only?: readonly S[];
  readonly json?: string;
  readonly report?: string;
}

interface BenchFlags extends Flags<Section> {
  readonly whenStdinCloses?: string;
}

interface ServiceFlags extends Flags<ServiceSection> {
  readonly sizes?: readonly number[];
}

interface Format {
  readonly format: string;
}

/** Parts whose absence means that something could not be measured; a peer may be missing. */
const PARTS: readonly string[] = ['latency', 'streams', 'packets', 'programs', 'memory'];
const EXIT_CODES = '\nExit code 0: it was measured, whether or not the goals are met; 1: something could not be.';
const COMPARE_CODES =
  '\nA figure moved when each median is outside the other quartiles and they differ by more than the noise: the notches' +
  '\nof both, 1 % of a ratio, 5 % of a time or a size, 10 % of what was measured once, and what a path differs from itself.' +
  '\nExit code 0: nothing is worse; 1: something is; 2: not two reports of one benchmark; 5: no such file.';

/** Adds the options and the actions of `isthmus bench` and its subcommands. */
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
  addFileCommands(command);
}

function addFileCommands(command: Command): void {
  command
    .command('compare <before> <after>')
    .description('say what moved beyond the noise from one JSON file to another')
    .addOption(outputOption())
    .option('--all', 'also what did not')
    .addHelpText('after', COMPARE_CODES)
    .action(async (before: string, after: string, { all = false }: { all?: boolean }, self: Command) => {
      const { compareFiles } = await import('../bench-files.js');
      await compareFiles(before, after, { all, format: globalOptions(self).format });
    });
  command
    .command('report <files...>')
    .description('draw JSON files as one page')
    .option('--report <file>', 'where to write it (default: build/bench/report.html)')
    .action(async (files: string[], { report }: { report?: string }) => {
      const { drawFiles } = await import('../bench-files.js');
      await drawFiles(files, report);
    });
}

function parseSizes(text: string): number[] {
  return text.split(',').map((count) => parseCount(count.trim()));
}

function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print (default: table)').choices(FORMATS);
}

function addOptions(command: Command, sections: readonly string[]): Command {
  return command
    .addOption(outputOption())
    .option('--quick', 'fewer and shorter rounds: a few minutes')
    .option('--rounds <count>', 'rounds of each measurement', parseCount)
    .option('--only <names>', `only these, separated by commas: ${sections.join(', ')}`, (text) =>
      parseSections(text, sections),
    )
    .option('--json <file>', 'where to write what -o json prints (default: in build/bench)')
    .option('--report <file>', 'where to write the page with charts (default: in build/bench)')
    .addHelpText('after', EXIT_CODES);
}

function parseSections<S extends string>(text: string, sections: readonly S[]): S[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !sections.some((section) => section === name));
  if (unknown.length > 0) throw usage(`--only: there is no '${unknown.join(', ')}'; there is ${sections.join(', ')}`);
  return sections.filter((section) => names.includes(section));
}

async function bench(flags: BenchFlags, { format }: Format): Promise<void> {
  if (flags.whenStdinCloses !== undefined) return reap(flags.whenStdinCloses);
  const { runBench } = await import('../../bench/run.js');
  await runAndReport({ ...filesOf(flags), format, run: () => runBench(effortOf(flags)), parts: PARTS });
}

async function benchNat(flags: Flags<NatSection>, { format }: Format): Promise<void> {
  const { runNatBench } = await import('../../bench/nat/run.js');
  await runAndReport({ ...filesOf(flags), format, run: () => runNatBench(effortOf(flags)), parts: NAT_SECTIONS });
}

async function benchService(flags: ServiceFlags, { format }: Format): Promise<void> {
  const { runServiceBench } = await import('../../bench/service/run.js');
  const options = { ...effortOf(flags), sizes: flags.sizes ?? [] };
  await runAndReport({ ...filesOf(flags), format, run: () => runServiceBench(options), parts: SERVICE_SECTIONS });
}

async function benchCni(flags: Flags<CniSection>, { format }: Format): Promise<void> {
  const { runCniBench } = await import('../../bench/cni/run.js');
  await runAndReport({ ...filesOf(flags), format, run: () => runCniBench(effortOf(flags)), parts: CNI_SECTIONS });
}

function effortOf<S extends string>({ quick = false, only = [], rounds }: Flags<S>) {
  return { quick, only, narrate, ...(rounds === undefined ? {} : { rounds }) };
}

function filesOf({ json, report }: Flags<string>) {
  return { ...(json === undefined ? {} : { json }), ...(report === undefined ? {} : { report }) };
}

async function reap(id: string): Promise<void> {
  const { reapBench } = await import('../../bench/owned.js');
  const left = await reapBench(id);
  if (left.length > 0) process.exitCode = EXIT.unhealthy;
}
