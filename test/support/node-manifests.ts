// Kubernetes objects of a cluster with one node under test, as an operator writes them.
import { PORT } from './node-world.js';

export interface NetworkSpec {
  readonly ipv4?: object;
  readonly ipv6?: object;
  readonly nat?: object;
  readonly timeouts?: object;
  readonly serviceCIDRs?: readonly string[];
}

export function network({ ipv4 = {}, ipv6 = {}, nat, timeouts, serviceCIDRs }: NetworkSpec = {}): object {
  return {
    apiVersion: 'isthmus.dev/v1alpha1',
    kind: 'ClusterNetwork',
    metadata: { name: 'default' },
    spec: {
      clusterID: 'test',
      ipv4: { mode: 'Island', podCIDRs: ['10.244.0.0/16'], ...ipv4 },
      ipv6: { mode: 'Island', podCIDRs: ['fd00:244::/32'], ...ipv6 },
      // So that a test knows which ports a pod has, whoever had them before.
      nat: { blockOrder: 'Sequential', reuseHold: 0, blocksPerPod: { maximum: 1 }, ...nat },
      ...(timeouts === undefined ? {} : { timeouts }),
      ...(serviceCIDRs === undefined ? {} : { serviceCIDRs }),
    },
  };
}

/** Further translation addresses of the node under test. */
export function egressPool(addresses: readonly string[], fields: object = {}): object {
  return {
    apiVersion: 'isthmus.dev/v1alpha1',
    kind: 'EgressPool',
    metadata: { name: 'pool' },
    spec: { addresses, nodeSelector: { matchLabels: { 'kubernetes.io/hostname': 'n1' } }, ...fields },
  };
}

export function nodeObject(name: string, addresses: readonly string[], podCIDRs: readonly string[]): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    spec: { podCIDR: podCIDRs[0], podCIDRs },
    status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
  };
}

/** A service by a virtual address, with backends. */
export function service(name: string, address: string, backends: readonly string[]): object[] {
  const ports = [{ name: 'tcp', protocol: 'TCP', port: 80, targetPort: PORT }];
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'test' },
      spec: { type: 'ClusterIP', clusterIP: address, clusterIPs: [address], ports },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, namespace: 'test', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: backends.map((backend) => ({ addresses: [backend], conditions: { ready: true } })),
      ports: [{ name: 'tcp', protocol: 'TCP', port: PORT }],
    },
  ];
}
