// `isthmus endpoint list`: the pods of a node, and whether the datapath knows them.
import type { Command } from 'commander';
import type { Instance } from '../../api/instances.js';
import { openContext } from '../context.js';
import { ENDPOINT_LIST } from '../fields.js';
import { addGlobalOptions } from '../options.js';
import { printList } from '../output.js';
import { readPortBlocks } from '../port-blocks.js';
import { type EndpointItem, viewEndpoint } from '../view/endpoint.js';

interface EndpointOptions {
  readonly namespace?: string;
}

/** Adds the verbs of `isthmus endpoint`. */
export function register(command: Command): void {
  addGlobalOptions(command.command('list').description('pods with their addresses and NAT ports'))
    .option('-n, --namespace <name>', 'only pods of this namespace')
    .action(listEndpoints);
}

async function listEndpoints({ namespace }: EndpointOptions, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  const items = (await Promise.all(instances.map(readEndpoints))).flat();
  await printList(
    output,
    ENDPOINT_LIST,
    items.filter((item) => namespace === undefined || item.pod.namespace === namespace),
  );
}

async function readEndpoints(instance: Instance): Promise<(EndpointItem & { node: string })[]> {
  const { node, state, endpoints } = instance;
  if (endpoints.length === 0) return [];
  const blocks = new Map((await readPortBlocks(instance)).map((block) => [block.address, block]));
  const now = Date.now();
  return endpoints.map((record) => ({ node, ...viewEndpoint(record, { state, blocks, now }) }));
}
