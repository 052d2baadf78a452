// `isthmus route list`: where packets of pods go, in order of prefix.
import type { Command } from 'commander';
import type { Instance } from '../../api/instances.js';
import { openContext } from '../context.js';
import { ROUTE_LIST } from '../fields.js';
import { addGlobalOptions } from '../options.js';
import { printList } from '../output.js';
import { openTable } from '../table.js';
import { type RouteItem, type RouteKey, type RouteValue, viewRoute } from '../view/route.js';

/** Adds the verbs of `isthmus route`. */
export function register(command: Command): void {
  addGlobalOptions(
    command.command('list').description('prefixes of other nodes and of what is never translated'),
  ).action(listRoutes);
}

async function listRoutes(_options: object, command: Command): Promise<void> {
  const { output, instances } = await openContext(command);
  await printList(output, ROUTE_LIST, (await Promise.all(instances.map(readRoutes))).flat());
}

async function readRoutes(instance: Instance): Promise<(RouteItem & { node: string })[]> {
  using table = await openTable<RouteKey, RouteValue>(instance, 'routes');
  const types = table.enumValues('route_type');
  return [...table.rows()]
    .map(({ key, value }) => ({ node: instance.node, ...viewRoute(key, value, types) }))
    .sort((a, b) => a.prefix.localeCompare(b.prefix, 'en', { numeric: true }));
}
