// `isthmus service list`: every frontend with the backends in force. `isthmus service show`: why it is those.
import { join } from 'node:path';
import type { Command } from 'commander';
import { createAgentClient } from '../../api/client.js';
import type { Instance } from '../../api/instances.js';
import { SOCKET_NAME } from '../../api/protocol.js';
import { openContext } from '../context.js';
import { CliError, EXIT, notFound, usage } from '../exit.js';
import { SERVICE_BACKEND_LIST, SERVICE_LIST } from '../fields.js';
import { readHits } from '../hits.js';
import { addGlobalOptions } from '../options.js';
import { printList } from '../output.js';
import { openTable } from '../table.js';
import { createFlagDecoder } from '../view/flags.js';
import { hitsOf } from '../view/hits.js';
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
  addGlobalOptions(command.command('show').description('which backends of a Service are used, for whom, and why'))
    .argument('<ns/name>', 'the Service')
    .action(showService);
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
  const flags = createFlagDecoder(services.enumValues('service_flags'), 'SERVICE_');
  const hits = await readHits(instance);
  const items = [...services.rows()].map((row) => viewService(row, { names, index, flags, hits }));
  return items
    .filter((item) => !item.flags.includes('address'))
    .sort(byName)
    .map((item) => ({ node: instance.node, ...item }));
}

async function showService(text: string, _options: object, command: Command): Promise<void> {
  const [namespace = '', name = '', ...rest] = text.split('/');
  if (namespace === '' || name === '' || rest.length > 0) throw usage(`'${text}' is not NAMESPACE/NAME`);
  const { output, instances } = await openContext(command);
  const items = await Promise.all(instances.map((instance) => explain(instance, namespace, name)));
  await printList(output, SERVICE_BACKEND_LIST, items.flat());
}

/** One item for each backend, or for a port that has none. */
async function explain(instance: Instance, namespace: string, name: string): Promise<object[]> {
  const { node, stateDir, agentError } = instance;
  if (agentError !== undefined) {
    const advice = '`isthmus service list` reads what is in force from the maps';
    throw new CliError(EXIT.unreachable, `only the agent knows why: ${agentError.message}; ${advice}`);
  }
  const client = createAgentClient(join(stateDir, SOCKET_NAME));
  const { ports, ...service } = await client.service(namespace, name).catch((error: Error) => {
    if (!/status 404/.test(error.message)) throw error;
    throw notFound(`no Service ${namespace}/${name} in force on node ${node}; \`isthmus service list\` shows them`);
  });
  const hits = await readHits(instance);
  return ports.flatMap(({ backends, ...port }) => {
    const common = { node, ...service, ...port };
    if (backends.length === 0) return [{ ...common, reason: 'no EndpointSlice has a backend for this port' }];
    return backends.map(({ address, port: number, cluster, local, ...backend }) => ({
      ...common,
      ...backend,
      backend: { address, port: number },
      used: { cluster, local },
      hits: hitsOf(hits, port.id, { address, port: number }),
    }));
  });
}

function byName(a: ServiceItem, b: ServiceItem): number {
  return sortKey(a).localeCompare(sortKey(b), 'en', { numeric: true });
}

function sortKey({ service, portName, frontend }: ServiceItem): string {
  return `${service?.namespace} ${service?.name} ${portName} ${frontend.address} ${frontend.port}`;
}
