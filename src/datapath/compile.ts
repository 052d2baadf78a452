// The whole desired state of one node to the contents of its maps. Pure: the same input gives the same output.
import type { Endpoint } from '../model/endpoint.js';
import type { Problem, Snapshot } from '../model/snapshot.js';
import { compileConfig, type SnapshotConfig } from './config.js';
import { compileEndpoints } from './endpoints.js';
import { compileRoutes } from './routes.js';
import { type CompiledService, compileServices } from './services.js';
import type { Table } from './table.js';
import type * as entry from './types.gen.js';

/** The contents of the maps that the agent writes. */
export interface Tables {
  readonly endpoints: Table<string, entry.Endpoint>;
  readonly routes: Table<entry.RouteKey, entry.Route>;
  readonly services: Table<entry.ServiceKey, entry.Service>;
  readonly backends: Table<entry.BackendKey, entry.Backend>;
}

export interface CompileInput {
  readonly snapshot: Snapshot;
  /** The node that the maps are for. */
  readonly nodeName: string;
  /** Its pods. */
  readonly endpoints: readonly Endpoint[];
  /** Addresses of those pods that get another port block when they ask for one; none when absent. */
  readonly growable?: ReadonlySet<string>;
  /** Ids by service port, as the last compile returned them; empty at first, for `have` tells them too. */
  readonly serviceIds: ReadonlyMap<string, number>;
  /** What the maps hold now: an unchanged service keeps its generation, a new service never gets a used id. */
  readonly have: Pick<Tables, 'services' | 'backends'>;
}

export interface Desired extends Tables {
  readonly config: SnapshotConfig;
  readonly serviceIds: ReadonlyMap<string, number>;
  /** One for each id, in the order of ids. */
  readonly serviceList: readonly CompiledService[];
  /** What could not be expressed in the maps. */
  readonly problems: readonly Problem[];
}

/** Something without which nothing can be compiled is missing: what is in force should stay. */
export class CompileError extends Error {
  readonly code = 'ERR_NOT_READY';
}

/** Throws CompileError without a ClusterNetwork or without this node. */
export function compile({ snapshot, nodeName, endpoints, growable, serviceIds, have }: CompileInput): Desired {
  const { network } = snapshot;
  const node = snapshot.nodes.get(nodeName);
  if (network === undefined) throw missing('the ClusterNetwork named default');
  if (node === undefined) throw missing(`Node ${nodeName}`);
  const pools = [...snapshot.egressPools.values()];
  const local = compileEndpoints({ network, node, pools, endpoints, ...(growable === undefined ? {} : { growable }) });
  const services = compileServices({ snapshot, node, serviceIds, have });
  return {
    endpoints: local.table,
    routes: compileRoutes({ network, nodeName, nodes: snapshot.nodes }),
    services: services.services,
    backends: services.backends,
    config: compileConfig(network, node),
    serviceIds: services.ids,
    serviceList: services.list,
    problems: local.problems,
  };
}

function missing(what: string): CompileError {
  return new CompileError(`cannot compile: ${what} is missing or was refused; the maps stay as they are; apply it`);
}
