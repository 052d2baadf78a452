// The Kubernetes objects of each cluster as the YAML files that its agents watch.
import { FAMILIES } from '../model/address.js';
import type { Manifest } from '../testbed/manifests.js';
import { networkManifest, nodeManifests, writeDocuments } from '../testbed/manifests.js';
import type { AddressPair } from '../testbed/node.js';
import type { LabCluster, LabService } from './plan.js';
import { SERVER_PORT, SERVICE_PORT } from './plan.js';

type PodAddresses = Readonly<Record<string, AddressPair>>;

const NAMESPACE = 'default';
const PORTS = [
  { name: 'tcp', protocol: 'TCP' },
  { name: 'udp', protocol: 'UDP' },
];

/** Everything that is known before the pods are. */
export function writeManifests(cluster: LabCluster): void {
  for (const node of cluster.nodes) {
    writeDocuments(node, 'network.yaml', [networkManifest(cluster)]);
    writeDocuments(node, 'nodes.yaml', nodeManifests(cluster.nodes));
    writeDocuments(node, 'services.yaml', cluster.services.map(serviceManifest));
  }
}

/** The backends, from the addresses that CNI gave; one file and one rename, so that agents see one change. */
export function writeSlices(cluster: LabCluster, pods: PodAddresses): void {
  const slices = cluster.services.flatMap((service) => sliceManifests(cluster, service, pods));
  for (const node of cluster.nodes) writeDocuments(node, 'endpointslices.yaml', slices);
}

export function serviceManifest(service: LabService): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: service.name,
      namespace: NAMESPACE,
      ...(service.direct ? { annotations: { 'isthmus.dev/forwarding-mode': 'DirectReturn' } } : {}),
    },
    spec: {
      type: 'LoadBalancer',
      clusterIP: service.clusterIP.ipv4,
      clusterIPs: FAMILIES.map((family) => service.clusterIP[family]),
      ipFamilies: ['IPv4', 'IPv6'],
      ipFamilyPolicy: 'RequireDualStack',
      selector: { app: service.name },
      ports: PORTS.map((port) => ({
        ...port,
        port: SERVICE_PORT,
        targetPort: SERVER_PORT,
        nodePort: service.nodePort,
      })),
    },
    status: { loadBalancer: { ingress: FAMILIES.map((family) => ({ ip: service.vip[family] })) } },
  };
}

export function sliceManifests(cluster: LabCluster, service: LabService, pods: PodAddresses): Manifest[] {
  return FAMILIES.map((family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service.name}-${family}`,
      namespace: NAMESPACE,
      labels: { 'kubernetes.io/service-name': service.name },
    },
    addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
    endpoints: cluster.pods
      .filter((pod) => service.backends.includes(pod.name))
      .flatMap((pod) => {
        const address = pods[pod.id]?.[family];
        if (address === undefined) return [];
        return {
          addresses: [address],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: pod.node,
          targetRef: { kind: 'Pod', namespace: NAMESPACE, name: pod.name },
        };
      }),
    ports: PORTS.map((port) => ({ ...port, port: SERVER_PORT })),
  }));
}
