// `isthmus nat list`, `who` and `stats`: translated flows, who is or was behind a port, and how full it all is.
import { type Command, Option } from 'commander';
import { parseAddress } from '../../model/address.js';
import { type AddressFilter, parseAddressFilter, parseAddressPort } from '../address-port.js';
import { openContext } from '../context.js';
import { usage } from '../exit.js';
import { NAT_OWNER_LIST, TRANSLATION_LIST } from '../fields.js';
import { parseFlowFilter, podFilter, readFlows, requirePod } from '../flows.js';
import { openJournals } from '../journals.js';
import { limited } from '../limit.js';
import { NAT_STATS, PAST_OWNER_LIST } from '../nat-fields.js';
import { readNatStats } from '../nat-stats.js';
import { findNatOwners, type NatQuestion } from '../nat-who.js';
import { findPastOwners } from '../nat-who-at.js';
import { addGlobalOptions, parseCount } from '../options.js';
import { note, type Output, printList } from '../output.js';
import { openTables } from '../table.js';
import { parseMoment } from '../time.js';
import type { FlowItem, FlowKey, FlowValue } from '../view/flow.js';
import { isProtocol, matches, PROTOCOL_NAMES, type TranslationItem, viewTranslation } from '../view/translation.js';

interface ListOptions {
  readonly pod?: string;
  readonly namespace?: string;
  readonly remote?: string;
  readonly address?: string;
  readonly proto?: string;
  readonly limit?: number;
}

interface WhoOptions {
  readonly proto?: string;
  readonly remote?: string;
  readonly at?: string;
  readonly journalDir?: string;
}

/** Adds the verbs of `isthmus nat`. */
export function register(command: Command): void {
  registerList(command.command('list').description('translated flows: inside, outside and remote'));
  registerWho(command.command('who').description('which pod is behind a translated address and port, or was'));
  addGlobalOptions(command.command('stats').description('how full the translation is, by address and pod')).action(
    showStats,
  );
}

function registerList(command: Command): void {
  addGlobalOptions(command)
    .option('--pod <ns/name>', 'only flows of this pod')
    .option('-n, --namespace <name>', 'only flows of pods of this namespace')
    .option('--remote <addr[:port]>', 'only flows with this remote; IPv6 with a port as [ADDR]:PORT')
    .option('--address <addr>', 'only flows that the remote sees from this address')
    .addOption(protocolOption())
    .option('--limit <n>', 'stop after so many', parseCount)
    .action(listTranslations);
}

function registerWho(command: Command): void {
  addGlobalOptions(command)
    .argument('<addr:port>', 'what the remote saw, e.g. 203.0.113.7:40123 or [2001:db8::7]:40123')
    .addOption(protocolOption())
    .option('--remote <addr[:port]>', 'who saw it')
    .option('--at <time>', 'in the past: RFC 3339, or how long ago: 90s, 15m, 3h, 2d, 1w')
    .option('--journal-dir <dir>', 'with --at: read this journal, also one that was copied from its node')
    .addHelpText('after', '\nFor ICMP the port is the identifier. Exit code 5: nobody is behind it.')
    .action(showOwner);
}

function protocolOption(): Option {
  return new Option('--proto <protocol>', 'only this protocol').choices(PROTOCOL_NAMES);
}

async function listTranslations(options: ListOptions, command: Command): Promise<void> {
  const pods = parseFlowFilter(options);
  const wanted = translationFilter(options);
  const { instances, output } = await openContext(command);
  requirePod(pods.pod, instances);
  using tables = await openTables<FlowKey, FlowValue>(instances, 'flows');
  const ofPod = podFilter(pods);
  const flows = readFlows(tables, (flow) => ofPod(flow) && wanted(flow));
  await printList(output, TRANSLATION_LIST, limited(translations(flows), options.limit, output));
}

function* translations(flows: Iterable<FlowItem>): Generator<TranslationItem> {
  for (const flow of flows) {
    const item = viewTranslation(flow);
    if (item !== undefined) yield item;
  }
}

function translationFilter({ remote, address, proto }: ListOptions): (flow: FlowItem) => boolean {
  const remoteFilter = remote === undefined ? undefined : parseAddressFilter(remote);
  const outside = address === undefined ? undefined : parseOnlyAddress(address);
  return (flow) => {
    if (proto !== undefined && !isProtocol(flow.protocol, proto)) return false;
    const item = viewTranslation(flow);
    if (item === undefined) return false;
    if (remoteFilter !== undefined && !matches(item.remote, remoteFilter)) return false;
    return outside === undefined || matches(item.outside, outside);
  };
}

function parseOnlyAddress(text: string): AddressFilter {
  try {
    return { address: parseAddress(text) };
  } catch {
    throw usage(`'${text}' is not an IP address: --address takes an address without a port`);
  }
}

async function showOwner(what: string, options: WhoOptions, command: Command): Promise<void> {
  const question: NatQuestion = {
    query: parseAddressPort(what),
    ...(options.proto === undefined ? {} : { protocol: options.proto }),
    ...(options.remote === undefined ? {} : { remote: parseAddressFilter(options.remote) }),
  };
  if (options.at !== undefined) return showPastOwner(question, options, command);
  if (options.journalDir !== undefined) throw usage('--journal-dir needs --at: now is in the maps');
  const { instances, output } = await openContext(command);
  const items = await findNatOwners(question, instances);
  await printList(output, NAT_OWNER_LIST, items);
  if (items.every((item) => item.evidence === 'block')) sayNoFlow(output, question);
}

async function showPastOwner(question: NatQuestion, options: WhoOptions, command: Command): Promise<void> {
  const moment = parseMoment(options.at ?? '', Date.now());
  const { places, output } = await openJournals(command, options.journalDir);
  await printList(output, PAST_OWNER_LIST, findPastOwners({ query: question.query, moment }, places, output));
  if (question.protocol === undefined && question.remote === undefined) return;
  note(output, 'the journal keeps owners of blocks, not flows: --proto and --remote do not change the answer');
}

/** Tables show the parts below each other, the other formats one item a node. */
async function showStats(_options: object, command: Command): Promise<void> {
  const { instances, output } = await openContext(command);
  const items = await Promise.all(instances.map(readNatStats));
  if (output.format !== 'table' && output.format !== 'wide') {
    await printList(output, NAT_STATS.addresses, items);
    return;
  }
  await printList(
    output,
    NAT_STATS.addresses,
    items.flatMap(({ addresses }) => addresses),
  );
  output.stdout.write('\n');
  await printList(
    output,
    NAT_STATS.owners,
    items.flatMap(({ owners }) => owners),
  );
  const shortages = items.flatMap((item) => item.shortages);
  if (shortages.length > 0) {
    output.stdout.write('\n');
    await printList(output, NAT_STATS.shortages, shortages);
  }
  output.stdout.write('\n');
  await printList(output, NAT_STATS.choices, items);
  output.stdout.write('\n');
  await printList(
    output,
    NAT_STATS.flowTable,
    items.filter(({ flowTable }) => flowTable !== undefined),
  );
  output.stdout.write('\n');
  await printList(
    output,
    NAT_STATS.talkers,
    items.flatMap(({ talkers }) => talkers),
  );
  output.stdout.write('\n');
  await printList(
    output,
    NAT_STATS.journal,
    items.filter(({ journal }) => journal !== undefined),
  );
}

function sayNoFlow(output: Output, { remote, protocol }: NatQuestion): void {
  const which = [protocol, remote === undefined ? '' : 'with that remote'].filter(Boolean).join(' ');
  note(
    output,
    `no live flow${which === '' ? '' : ` (${which})`} uses this port now; the answer is the owner of its block`,
  );
}
