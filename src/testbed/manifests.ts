// The Kubernetes objects that every agent needs: the cluster's network and its nodes.
import { stringify } from 'yaml';
import type { Family } from '../model/address.js';
import { FAMILIES } from '../model/address.js';
import type { Mode } from '../model/network.js';
import { writeAtomically } from './atomic-file.js';
import type { CidrPair, TestNode } from './node.js';

export type Manifest = Readonly<Record<string, unknown>>;

export interface TestCluster {
  readonly name: string;
  readonly modes: Readonly<Record<Family, Mode>>;
  readonly podCIDRs: CidrPair;
  /** `spec.nat`; the defaults when absent. */
  readonly nat?: Manifest;
}

/** Several documents as one file of a node's manifests, so that its agent sees one change. */
export function writeDocuments({ stateDir }: TestNode, name: string, documents: readonly Manifest[]): void {
  writeAtomically(`${stateDir}/manifests/${name}`, documents.map((document) => stringify(document)).join('---\n'));
}

/** The cluster's network. */
export function networkManifest(cluster: TestCluster): Manifest {
  const family = (name: 'ipv4' | 'ipv6'): Manifest => ({
    mode: cluster.modes[name],
    podCIDRs: [cluster.podCIDRs[name]],
  });
  return {
    apiVersion: 'isthmus.dev/v1alpha1',
    kind: 'ClusterNetwork',
    metadata: { name: 'default' },
    spec: {
      clusterID: cluster.name,
      ipv4: family('ipv4'),
      ipv6: family('ipv6'),
      ...(cluster.nat === undefined ? {} : { nat: cluster.nat }),
    },
  };
}

/** Its nodes. */
export function nodeManifests(nodes: readonly TestNode[]): Manifest[] {
  return nodes.map((node) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: node.name },
    spec: { podCIDR: node.podCIDRs.ipv4, podCIDRs: FAMILIES.map((family) => node.podCIDRs[family]) },
    status: { addresses: FAMILIES.map((family) => ({ type: 'InternalIP', address: node.addresses[family] })) },
  }));
}
