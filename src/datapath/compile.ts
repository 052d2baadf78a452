// The whole desired state of one node to the contents of its maps. Pure: the same input gives the same output.
import type { Endpoint } from '../model/endpoint.js';
import type { Problem, Snapshot } from '../model/snapshot.js';
import { compileConfig, type SnapshotConfig } from './config.js';
import { compileEndpoints } from './endpoints.js';
import { compileHostPorts } from './host-ports.js';
import { compileRoutes } from './routes.js';
import type { ServiceTables } from './service-entries.js';
import { type CompiledServices, compileServices } from './services.js';
import type { Table } from './table.js';
import type * as entry from './types.gen.js';

/** The contents of the maps that the agent writes. */
export interface Tables extends ServiceTables {
  readonly endpoints: Table<string, entry.Endpoint>;
  readonly routes: Table<entry.RouteKey, entry.Route>;
}

export interface CompileInput {
  readonly snapshot: Snapshot;
  /** The node that the maps are for. */
  readonly nodeName: string;
  /** Its pods. */
  readonly endpoints: readonly Endpoint[];
  /** Addresses of those pods that get another port block when they ask for one; none when absent. */
  readonly growable?: ReadonlySet<string>;
  /** Ids by service port (listIds) of the last compile; empty at first, for `have` tells them too. */
  readonly serviceIds: ReadonlyMap<string, number>;
  /** What the maps hold now: an unchanged service keeps its generation, a new service never gets a used id. */
  readonly have: Pick<Tables, 'services' | 'backends'>;
  /** The last compile, when the maps hold just what it says: what did not change since is taken from there. */
  readonly previous?: Desired | undefined;
}

export interface Desired extends Pick<Tables, 'endpoints' | 'routes'> {
  /** What it was compiled from. */
  readonly snapshot: Snapshot;
  readonly services: CompiledServices;
  readonly config: SnapshotConfig;
  /** What could not be expressed in the maps. */
  readonly problems: readonly Problem[];
}

/** Something without which nothing can be compiled is missing: what is in force should stay. */
export class CompileError extends Error {
  readonly code = 'ERR_NOT_READY';
}

/** Throws CompileError without a ClusterNetwork or without this node. */
export function compile(input: CompileInput): Desired {
  const { snapshot, nodeName, endpoints, growable, serviceIds, have, previous } = input;
  const { network } = snapshot;
  const node = snapshot.nodes.get(nodeName);
  if (network === undefined) throw missing('the ClusterNetwork named default');
  if (node === undefined) throw missing(`Node ${nodeName}`);
  const pools = [...snapshot.egressPools.values()];
  const local = compileEndpoints({ network, node, pools, endpoints, ...(growable === undefined ? {} : { growable }) });
  const { nodes } = snapshot;
  const former = previous?.services;
  const claims = { endpoints, node, services: snapshot.services.values(), previous: former?.basis.hostPorts };
  const { hostPorts, problems } = compileHostPorts(claims);
  const services = compileServices({ snapshot, node, hostPorts, serviceIds, have, previous: former });
  const sameNodes = previous?.snapshot.network === network && previous.snapshot.nodes === nodes;
  return {
    snapshot,
    endpoints: local.table,
    routes: sameNodes ? previous.routes : compileRoutes({ network, nodeName, nodes }),
    services,
    config: compileConfig(network, node),
    problems: [...local.problems, ...problems],
  };
}

function missing(what: string): CompileError {
  return new CompileError(`cannot compile: ${what} is missing or was refused; the maps stay as they are; apply it`);
}
