// Answers `nat who` from the maps of all instances: blocks, flows and, when nobody is behind it, the range of the port.
import type { Instance } from '../api/instances.js';
import { type AddressFilter, type AddressPort, formatAddressPort } from './address-port.js';
import { notFound } from './exit.js';
import { readFlows } from './flows.js';
import { readPortBlocks } from './port-blocks.js';
import { openTable, openTables } from './table.js';
import type { FlowItem, FlowKey, FlowValue } from './view/flow.js';
import {
  explainNobody,
  findNatOwner,
  type NatOwnerItem,
  type NodeTranslations,
  type PortBlock,
} from './view/nat-owner.js';
import { indexPods } from './view/pods.js';
import type { ServiceKey, ServiceValue } from './view/service.js';
import { isProtocol, matches, type TranslationItem, viewTranslation } from './view/translation.js';

export interface NatQuestion {
  readonly query: AddressPort;
  readonly protocol?: string;
  readonly remote?: AddressFilter;
}

/** Who is behind the asked port, on any instance. Throws a not-found CliError that says which range owns the port. */
export async function findNatOwners(question: NatQuestion, instances: readonly Instance[]): Promise<NatOwnerItem[]> {
  const answers = await Promise.all(instances.map((instance) => ask(question, instance)));
  const items = answers.flatMap(({ known }) => findNatOwner(question.query, known));
  if (items.length > 0) return items;
  const owners = answers.filter(({ known }) =>
    known.blocks.some((block) => block.natAddress === question.query.address),
  );
  const asked = owners.length > 0 ? owners : answers;
  const reasons = await Promise.all(asked.map(({ instance, known }) => explain(question, instance, known.blocks)));
  throw notFound(`nobody is behind ${formatAddressPort(question.query)}: ${reasons.join('; ')}`);
}

async function ask(
  question: NatQuestion,
  instance: Instance,
): Promise<{ instance: Instance; known: NodeTranslations }> {
  const blocks = await readPortBlocks(instance);
  const flows = await readTranslations(question, instance);
  const known = { node: instance.node, blocks, pods: indexPods(instance.endpoints), flows, now: Date.now() };
  return { instance, known };
}

async function readTranslations(question: NatQuestion, instance: Instance): Promise<TranslationItem[]> {
  using tables = await openTables<FlowKey, FlowValue>([instance], 'flows');
  const wanted = (flow: FlowItem): boolean => isWanted(viewTranslation(flow), question);
  return [...readFlows(tables, wanted)].map(viewTranslation).filter((item) => item !== undefined);
}

function isWanted(item: TranslationItem | undefined, { query, protocol, remote }: NatQuestion): boolean {
  if (item === undefined || !matches(item.outside, query)) return false;
  if (protocol !== undefined && !isProtocol(item.protocol, protocol)) return false;
  return remote === undefined || matches(item.remote, remote);
}

async function explain({ query }: NatQuestion, instance: Instance, blocks: readonly PortBlock[]): Promise<string> {
  const { node, state } = instance;
  const { natPorts, blockSize } = state;
  return explainNobody(query, { node, natPorts, blockSize, blocks, services: await frontendNames(query, instance) });
}

async function frontendNames(query: AddressPort, instance: Instance): Promise<string[]> {
  using table = await openTable<ServiceKey, ServiceValue>(instance, 'services');
  const names = new Map(instance.state.services.map((name) => [name.id, `${name.namespace}/${name.name}`]));
  const rows = [...table.rows()].filter(({ key }) => key.address === query.address && key.port === query.port);
  return [...new Set(rows.map(({ value }) => names.get(value.id) ?? `number ${value.id}`))];
}
