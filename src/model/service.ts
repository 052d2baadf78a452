// A Service and the backends behind it, as far as the datapath needs them.
import type { IpAddress } from './address.js';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface ServicePort {
  /** Empty when the Service has one unnamed port. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly nodePort?: number;
}

export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIPs: readonly IpAddress[];
  /** Addresses of status.loadBalancer.ingress and spec.externalIPs. */
  readonly externalAddresses: readonly IpAddress[];
  readonly ports: readonly ServicePort[];
}

/** One address and port that answers a service's port. */
export interface Backend {
  readonly address: IpAddress;
  readonly port: number;
  readonly ready: boolean;
}

/** An EndpointSlice: the backends of one address type of one Service, by port name. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** The label kubernetes.io/service-name. */
  readonly serviceName: string;
  readonly backends: Readonly<Record<string, readonly Backend[]>>;
}
