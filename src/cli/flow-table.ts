// Reads how full an instance's flow table is, and whose flows fill it.
import type { Instance } from '../api/instances.js';
import { viewFlowTable } from '../datapath/flow-table.js';
import type { FlowCount, FlowTotal } from '../datapath/types.gen.js';
import type { FlowTable } from '../model/flow-table.js';
import { listPins } from './pins.js';
import { openTable } from './table.js';

/** undefined when the maps are those of an agent that did not count yet. Throws CliError when they cannot be read. */
export async function readFlowTable(instance: Instance): Promise<FlowTable | undefined> {
  if (!(await listPins(instance)).includes('flow_totals')) return undefined;
  using flows = await openTable(instance, 'flows');
  using totals = await openTable<number, FlowTotal>(instance, 'flow_totals');
  using counts = await openTable<number, FlowCount>(instance, 'flow_counts');
  const rows = [...counts.rows()].map(({ key, value }) => [key, value] as const);
  return viewFlowTable({ total: totals.lookup(0), counts: rows, maxEntries: flows.info.maxEntries });
}
