// API objects as the snapshot that a source makes of them, without a source.
import type { EndpointSlice, Service } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { VersionedMap } from '../model/versioned-map.js';
import { convert } from '../source/convert.js';
import type { Manifest } from '../testbed/manifests.js';

/** Not checked. */
export function readObjects(manifests: readonly Manifest[]): Snapshot {
  const objects = manifests.flatMap((manifest) => convert(manifest) ?? []);
  return {
    network: objects.find((one) => one.kind === 'ClusterNetwork')?.object,
    nodes: new Map(objects.flatMap((one) => (one.kind === 'Node' ? [[one.key, one.object]] : []))),
    podPools: new Map(),
    egressPools: new Map(),
    services: new Map(
      objects.flatMap((one): [string, Service][] => (one.kind === 'Service' ? [[one.key, one.object]] : [])),
    ),
    slices: VersionedMap.of(
      new Map(
        objects.flatMap((one): [string, EndpointSlice][] =>
          one.kind === 'EndpointSlice' ? [[one.key, one.object]] : [],
        ),
      ),
    ),
    problems: [],
  };
}
