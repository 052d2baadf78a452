// `isthmus service list`: every frontend of the services map with the backends in force.
import type { Command } from 'commander';
import type { Instance } from '../../api/instances.js';
import { openContext } from '../context.js';
import { SERVICE_LIST } from '../fields.js';
import { addGlobalOptions } from '../options.js';
import { printList } from '../output.js';
import { openTable } from '../table.js';
import {
  type BackendKey,
  type BackendValue,
  indexBackends,
  type ServiceItem,
  type ServiceKey,
  type ServiceValue,
  viewService,
} from '../view/service.js';

interface ServiceOptions {
  readonly namespace?: string;
}

/** Adds the verbs of `isthmus service`. */
export function register(command: Command): void {
  addGlobalOptions(command.command('list').description('frontends and how many backends are ready'))
    .option('-n, --namespace <name>', 'only services of this namespace')
    .action(listServices);
}

async function listServices({ namespace }: ServiceOptions, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  const items = (await Promise.all(instances.map(readServices))).flat();
  const wanted = items.filter((item) => namespace === undefined || item.service?.namespace === namespace);
  await printList(output, SERVICE_LIST, wanted);
}

async function readServices(instance: Instance): Promise<(ServiceItem & { node: string })[]> {
  using backends = await openTable<BackendKey, BackendValue>(instance, 'backends');
  using services = await openTable<ServiceKey, ServiceValue>(instance, 'services');
  const index = indexBackends(backends.rows());
  const names = new Map(instance.state.services.map((name) => [name.id, name]));
  const items = [...services.rows()].map((row) => viewService(row, names, index));
  return items.sort(byName).map((item) => ({ node: instance.node, ...item }));
}

function byName(a: ServiceItem, b: ServiceItem): number {
  return sortKey(a).localeCompare(sortKey(b), 'en', { numeric: true });
}

function sortKey({ service, portName, frontend }: ServiceItem): string {
  return `${service?.namespace} ${service?.name} ${portName} ${frontend.address} ${frontend.port}`;
}
