// `isthmus affinity list`: clients that Services with session affinity remember, and where they are sent.
import type { Command } from 'commander';
import type { Instance } from '../../api/instances.js';
import { openContext } from '../context.js';
import { AFFINITY_LIST } from '../fields.js';
import { addGlobalOptions } from '../options.js';
import { printList } from '../output.js';
import { openTable } from '../table.js';
import { monotonicSeconds } from '../time.js';
import { type AffinityItem, type AffinityKey, type AffinityValue, viewAffinity } from '../view/affinity.js';
import type { ServiceKey, ServiceValue } from '../view/service.js';

interface AffinityOptions {
  readonly namespace?: string;
}

/** Adds the verbs of `isthmus affinity`. */
export function register(command: Command): void {
  addGlobalOptions(command.command('list').description('clients that Services remember, and their backends'))
    .option('-n, --namespace <name>', 'only services of this namespace')
    .action(listAffinities);
}

async function listAffinities({ namespace }: AffinityOptions, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  const items = (await Promise.all(instances.map(readAffinities))).flat();
  const wanted = items.filter((item) => namespace === undefined || item.service?.namespace === namespace);
  await printList(output, AFFINITY_LIST, wanted);
}

async function readAffinities(instance: Instance): Promise<(AffinityItem & { node: string })[]> {
  using affinities = await openTable<AffinityKey, AffinityValue>(instance, 'affinities');
  using services = await openTable<ServiceKey, ServiceValue>(instance, 'services');
  // All frontends of a service have the same; the entry of its address as such has none.
  const remembering = [...services.rows()].filter(({ value }) => value.affinity > 0);
  const timeouts = new Map(remembering.map(({ value }) => [value.id, value.affinity]));
  const names = new Map(instance.state.services.map((name) => [name.id, name]));
  const viewer = { names, timeouts, now: monotonicSeconds() };
  return [...affinities.rows()]
    .flatMap((row) => viewAffinity(row, viewer) ?? [])
    .sort((a, b) => sortKey(a).localeCompare(sortKey(b), 'en', { numeric: true }))
    .map((item) => ({ node: instance.node, ...item }));
}

function sortKey({ service, portName, client }: AffinityItem): string {
  return `${service?.namespace} ${service?.name} ${portName} ${client}`;
}
