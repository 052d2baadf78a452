// Services and their endpoints as Kubernetes describes them, in both families.
import { familyOf } from '../../src/model/address.js';

export interface ServiceSpec {
  readonly name: string;
  /** Cluster IPs, one or two families. */
  readonly clusterIPs: readonly string[];
  readonly vips?: readonly string[];
  readonly port: number;
  readonly targetPort: number;
  readonly nodePort?: number;
  /** More of the Service's spec. */
  readonly more?: object;
}

const PROTOCOLS = ['TCP', 'UDP'];
const READY = { ready: true, serving: true, terminating: false };

/** A Service with one port of TCP and UDP each. */
export function serviceObject({ name, clusterIPs, vips = [], port, targetPort, nodePort, more }: ServiceSpec): object {
  const type = vips.length > 0 ? 'LoadBalancer' : nodePort === undefined ? 'ClusterIP' : 'NodePort';
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'test' },
    spec: {
      type,
      clusterIP: clusterIPs[0],
      clusterIPs,
      ports: PROTOCOLS.map((protocol) => ({
        name: protocol.toLowerCase(),
        protocol,
        port,
        targetPort,
        ...(nodePort === undefined ? {} : { nodePort }),
      })),
      ...more,
    },
    status: { loadBalancer: { ingress: vips.map((ip) => ({ ip })) } },
  };
}

export interface EndpointSpec {
  readonly address: string;
  /** Ready when absent. */
  readonly conditions?: object;
  /** n1, the node under test, when absent. */
  readonly nodeName?: string;
}

/** The slices of a Service: one a family that it has an endpoint in. */
export function sliceObjects(name: string, targetPort: number, endpoints: readonly EndpointSpec[]): object[] {
  const families = Object.groupBy(endpoints, ({ address }) => familyOf(address));
  return Object.entries(families).map(([family, list = []]) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-${family}`, namespace: 'test', labels: { 'kubernetes.io/service-name': name } },
    addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
    endpoints: list.map(({ address, conditions = READY, nodeName = 'n1' }) => ({
      addresses: [address],
      conditions,
      nodeName,
    })),
    ports: PROTOCOLS.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: targetPort })),
  }));
}
