// The Kubernetes objects that each node's agent watches.
import { networkManifest, nodeManifests, writeDocuments } from '../testbed/manifests.js';
import type { BenchNode, BenchPlan } from './plan.js';

export function writeManifests(plan: BenchPlan, node: BenchNode): void {
  const network = networkManifest({
    name: node.cluster,
    modes: { ipv4: node.mode, ipv6: node.mode },
    podCIDRs: node.clusterCIDRs,
    ...(node.nat === undefined ? {} : { nat: node.nat }),
  });
  const nodes = plan.nodes.filter(({ cluster }) => cluster === node.cluster);
  writeDocuments(node, 'cluster.yaml', [network, ...nodeManifests(nodes)]);
}
