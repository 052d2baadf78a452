// The whole desired state, as a source delivers it.
import type { EgressPool } from './egress-pool.js';
import type { FaultCode } from './fault.js';
import type { ClusterNetwork } from './network.js';
import type { Node } from './node.js';
import type { PodPool } from './pod-pool.js';
import type { EndpointSlice, Service } from './service.js';

/** Everything the datapath is compiled from, except this node's own endpoints. Keys are `namespace/name` or `name`. */
export interface Snapshot {
  readonly network: ClusterNetwork | undefined;
  /** Once checked, with the blocks that pools give them. */
  readonly nodes: ReadonlyMap<string, Node>;
  readonly podPools: ReadonlyMap<string, PodPool>;
  readonly egressPools: ReadonlyMap<string, EgressPool>;
  readonly services: ReadonlyMap<string, Service>;
  readonly slices: ReadonlyMap<string, EndpointSlice>;
  readonly problems: readonly Problem[];
}

/** An object that was refused: what, where, why, and what is in force instead. */
export interface Problem {
  /** `file.yaml:12` for a directory, `Kind namespace/name` for the API. */
  readonly where: string;
  readonly object: string;
  readonly reason: string;
  /** The same in one word, where there is one. */
  readonly code?: FaultCode;
  /** What stays in force, e.g. `the last good state of Service shop/web` or `nothing of it`. */
  readonly inForce: string;
}
