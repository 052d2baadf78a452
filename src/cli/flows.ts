// Reads the flows map of an instance as a stream of flows: filtered before the other direction is looked up.
import type { Instance } from '../api/instances.js';
import { notFound } from './exit.js';
import { type PodRef, parsePod } from './options.js';
import type { Table, Tables } from './table.js';
import { monotonicSeconds } from './time.js';
import { createFlagDecoder } from './view/flags.js';
import {
  addReply,
  type FlowItem,
  type FlowKey,
  type FlowValue,
  type FlowViewer,
  isReply,
  pairKey,
  viewFlow,
} from './view/flow.js';
import { indexPods } from './view/pods.js';

export type FlowTables = Tables<FlowKey, FlowValue>;
type FlowTable = Table<FlowKey, FlowValue>;

/** Which flows are wanted. */
export interface FlowFilter {
  readonly pod?: PodRef;
  readonly namespace?: string;
}

export function parseFlowFilter({ pod, namespace }: { pod?: string; namespace?: string }): FlowFilter {
  if (pod !== undefined) return { pod: parsePod(pod, namespace) };
  return namespace === undefined ? {} : { namespace };
}

/** The flows of all tables that `wanted` takes, each with its reply. */
export function* readFlows(tables: FlowTables, wanted: (flow: FlowItem) => boolean): Generator<FlowItem> {
  for (const { instance, table } of tables.all) {
    const viewer = createViewer(table, instance);
    for (const entry of table.rows()) {
      if (isReply(entry, viewer.flags)) continue;
      const flow = viewFlow(entry, viewer);
      if (wanted(flow)) yield addReply(flow, table.lookup(pairKey(entry.key, entry.value)), viewer.now);
    }
  }
}

/** The flows of a table as their opening direction tells them: without their replies, so without a second look-up. */
export function* scanFlows(table: FlowTable, instance: Instance): Generator<FlowItem> {
  const viewer = createViewer(table, instance);
  for (const entry of table.rows()) if (!isReply(entry, viewer.flags)) yield viewFlow(entry, viewer);
}

function createViewer(table: FlowTable, { node, endpoints }: Instance): FlowViewer {
  const flags = createFlagDecoder(table.enumValues('flow_flags'), 'FLOW_');
  return { node, pods: indexPods(endpoints), now: monotonicSeconds(), flags };
}

/** Makes the test of a flow's pod. */
export function podFilter({ pod, namespace }: FlowFilter): (flow: Pick<FlowItem, 'pod'>) => boolean {
  if (pod !== undefined) return (flow) => flow.pod?.namespace === pod.namespace && flow.pod.name === pod.name;
  return (flow) => namespace === undefined || flow.pod?.namespace === namespace;
}

/** Throws a CliError when no instance has the pod: a filter that can match nothing is a typing error. */
export function requirePod(pod: PodRef | undefined, instances: readonly Instance[]): void {
  if (pod === undefined) return;
  const known = instances.some(({ endpoints }) =>
    endpoints.some((endpoint) => endpoint.namespace === pod.namespace && endpoint.pod === pod.name),
  );
  if (known) return;
  const nodes = instances.map((instance) => instance.node).join(', ');
  throw notFound(`no pod ${pod.namespace}/${pod.name} on node ${nodes}; \`isthmus endpoint list\` shows the pods`);
}
