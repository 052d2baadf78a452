// A Service and the backends behind it, as far as the datapath needs them.
import type { Cidr, Family, IpAddress } from './address.js';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface ServicePort {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly nodePort?: number;
}

/** Whose backends may be used: everybody's, or only this node's. */
export type TrafficPolicy = 'Cluster' | 'Local';

/** How one of several backends is chosen: any of them, or the same one on every node. */
export type LoadBalancing = 'Random' | 'Maglev';

/**
 * What becomes of a packet from outside whose backend is on another node: it is translated to this node's address, or
 * handed over as it is, and then that node answers the client itself.
 */
export type ForwardingMode = 'Translated' | 'DirectReturn';

export interface Service {
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339: since when there is the object; absent where nobody says it. */
  readonly created?: string;
  readonly clusterIPs: readonly IpAddress[];
  readonly externalIPs: readonly IpAddress[];
  /** Addresses of status.loadBalancer.ingress that every node answers (ipMode VIP). */
  readonly loadBalancerIPs: readonly IpAddress[];
  readonly ports: readonly ServicePort[];
  /** Of what is sent to the cluster IPs. */
  readonly internalTrafficPolicy: TrafficPolicy;
  /** Of what comes from outside to node ports, external IPs and load balancer IPs. */
  readonly externalTrafficPolicy: TrafficPolicy;
  /** Seconds that a client keeps its backend, counted from its last new connection; 0: no affinity. */
  readonly affinityTimeout: number;
  /** Who may use the load balancer IPs; empty: everybody. Of both families. */
  readonly sourceRanges: readonly Cidr[];
  readonly loadBalancing: LoadBalancing;
  /** Absent: as the ClusterNetwork says. */
  readonly forwardingMode?: ForwardingMode;
  /** What the Service asks for instead, when nobody knows it. */
  readonly unknownForwardingMode?: string;
  /** Where load balancers ask whether this node has backends; only of those that need to know. */
  readonly healthCheckNodePort?: number;
}

/** Whether anybody outside the cluster can reach a port of the Service. */
export function isExternallyAccessible(service: Service, { nodePort }: ServicePort): boolean {
  return nodePort !== undefined || service.externalIPs.length > 0 || service.loadBalancerIPs.length > 0;
}

/** One address and port that may answer a service's port. */
export interface Backend {
  readonly address: IpAddress;
  readonly port: number;
  readonly ready: boolean;
  /** Answers, whether or not it is terminating. */
  readonly serving: boolean;
  readonly terminating: boolean;
  /** The node that it is on; '' when nobody says. */
  readonly nodeName: string;
  readonly zone: string;
  /** The zones, and the nodes, whose clients it should be used by; empty: no hint. */
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
}

/** The change of a pod or Service that an EndpointSlice was written for. */
export interface Trigger {
  readonly family: Family;
  readonly time: number;
}

/** An EndpointSlice: the backends of one address type of one Service. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** The label kubernetes.io/service-name. */
  readonly serviceName: string;
  /** What changed last, and when (milliseconds of the epoch), as far as whoever wrote the slice tells. */
  readonly trigger?: Trigger;
  /** By portKey(). */
  readonly backends: Readonly<Record<string, readonly Backend[]>>;
}

/** What joins a port of a Service with a port of its slices: `http/TCP`, or `/TCP` for an unnamed port. */
export function portKey(name: string, protocol: Protocol): string {
  return `${name}/${protocol}`;
}
