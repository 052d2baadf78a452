// `isthmus flow list`: connections as the kernel tracks them, one line for both directions.
import type { Command } from 'commander';
import { openContext } from '../context.js';
import { FLOW_LIST } from '../fields.js';
import { parseFlowFilter, podFilter, readFlows, requirePod } from '../flows.js';
import { limited } from '../limit.js';
import { addGlobalOptions, parseCount } from '../options.js';
import { printList } from '../output.js';
import { openTables } from '../table.js';
import type { FlowKey, FlowValue } from '../view/flow.js';

interface FlowOptions {
  readonly pod?: string;
  readonly namespace?: string;
  readonly limit?: number;
}

/** Adds the verbs of `isthmus flow`. */
export function register(command: Command): void {
  addGlobalOptions(command.command('list').description('flows with state, age and counters'))
    .option('--pod <ns/name>', 'only flows of this pod')
    .option('-n, --namespace <name>', 'only flows of pods of this namespace')
    .option('--limit <n>', 'stop after so many', parseCount)
    .action(listFlows);
}

async function listFlows(options: FlowOptions, command: Command): Promise<void> {
  const filter = parseFlowFilter(options);
  const { instances, output } = await openContext(command);
  requirePod(filter.pod, instances);
  using tables = await openTables<FlowKey, FlowValue>(instances, 'flows');
  await printList(output, FLOW_LIST, limited(readFlows(tables, podFilter(filter)), options.limit, output));
}
