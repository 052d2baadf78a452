// The Services as the objects that the Kubernetes API gives out.
import type { Manifest } from '../../testbed/manifests.js';
import { PORT_NAME, type ServedService } from './services.js';

/** A Service and its EndpointSlice. */
export function serviceManifests(service: ServedService): Manifest[] {
  return [serviceManifest(service), sliceManifest(service)];
}

export function serviceManifest({ namespace, name, clusterIP, protocol, port, nodePort }: ServedService): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: {
      type: nodePort === undefined ? 'ClusterIP' : 'NodePort',
      clusterIP,
      clusterIPs: [clusterIP],
      ports: [{ name: PORT_NAME, protocol, port, ...(nodePort === undefined ? {} : { nodePort }) }],
    },
  };
}

/** All backends, which have one port, as ready ones. */
export function sliceManifest({ namespace, name, protocol, backends }: ServedService): Manifest {
  const [first] = backends;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { namespace, name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: first === undefined ? [] : [{ name: PORT_NAME, protocol, port: first.port }],
    endpoints: backends.map(({ address }) => ({
      addresses: [address],
      conditions: { ready: true, serving: true, terminating: false },
    })),
  };
}
