// Services as manifests would have them, compiled and written into the maps of a datapath under test.
import { diffServices } from '../../src/datapath/service-diff.js';
import type { ServiceTables } from '../../src/datapath/service-entries.js';
import { compileServices } from '../../src/datapath/services.js';
import { toTable } from '../../src/datapath/table.js';
import type { ClusterNetwork } from '../../src/model/network.js';
import type { Node } from '../../src/model/node.js';
import type { EndpointSlice, Service } from '../../src/model/service.js';
import type { TestDatapath } from './datapath.js';
import { aNetwork, aSnapshot } from './objects.js';
import { V4, V6 } from './world.js';

export interface Services {
  readonly services: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
  readonly network?: Partial<ClusterNetwork>;
  readonly node?: Partial<Node>;
}

const NAMES = ['direct_backends', 'serving', 'source_ranges', 'backends', 'maglev', 'services'] as const;

/** Takes the maps from what they hold to what these objects say, as the agent of node-1 does. */
export function programServices({ maps }: TestDatapath, { services, slices = [], network, node }: Services): void {
  const own: Node = { name: 'node-1', addresses: [V4.node, V6.node], podCIDRs: [], ...node };
  const snapshot = aSnapshot({ network: aNetwork(network), nodes: [own], services, slices });
  const have = Object.fromEntries(
    NAMES.map((name) => [name, toTable<unknown, unknown>([...maps[name].scan()])]),
  ) as unknown as ServiceTables;
  const want = compileServices({ snapshot, node: own, serviceIds: new Map(), have, previous: undefined });
  const diffs = diffServices({ have, applied: undefined, want });
  for (const name of NAMES) for (const [key, value] of diffs[name].set) maps[name].set(key as never, value as never);
  for (const name of NAMES.toReversed()) for (const key of diffs[name].delete) maps[name].delete(key as never);
}
