// ClusterNetwork: how the cluster's pods are addressed and translated.
import type { Cidr, Family } from './address.js';
import type { ForwardingMode } from './service.js';

export type Mode = 'Flat' | 'Island';

export interface FamilyNetwork {
  readonly mode: Mode;
  /** Every pod CIDR of the cluster: never translated between its own pods. */
  readonly podCIDRs: readonly Cidr[];
  /** Destinations outside the cluster that see the pod's own address also in island mode. */
  readonly neverTranslate: readonly Cidr[];
}

/** Seconds; defaults follow RFC 5382 REQ-5, RFC 4787 REQ-5 and RFC 5508 REQ-2. */
export interface Timeouts {
  readonly tcpOpening: number;
  readonly tcpEstablished: number;
  readonly tcpClosing: number;
  readonly udpOneWay: number;
  readonly udpTwoWay: number;
  /** To remote ports below 1024, such as DNS. */
  readonly udpWellKnown: number;
  readonly icmp: number;
}

/** Whether a pod's socket has one outside port for all remotes, or one that remotes may share (RFC 4787, RFC 5382). */
export type Mapping = 'EndpointIndependent' | 'EndpointDependent';
/** Who may send to an endpoint-independent mapping (RFC 4787 REQ-8). */
export type Filtering = 'EndpointIndependent' | 'AddressDependent' | 'AddressAndPortDependent';

/** Behaviour of translation, by protocol. ICMP queries are always endpoint-dependent. */
export interface NatBehaviour {
  readonly udpMapping: Mapping;
  readonly tcpMapping: Mapping;
  readonly filtering: Filtering;
}

export const DEFAULT_NAT_BEHAVIOUR: NatBehaviour = {
  udpMapping: 'EndpointIndependent',
  tcpMapping: 'EndpointDependent',
  filtering: 'AddressDependent',
};

/** How many blocks pods may own, of each family and on one node. */
export interface BlockQuotas {
  /** Of a pod when it is added, and in all: more than the first are given on request. */
  readonly initial: number;
  readonly maximum: number;
  /** Of all pods of a namespace together; undefined: as many as there are. */
  readonly perNamespace?: number;
  /** Namespaces with another number. */
  readonly namespaces: Readonly<Record<string, number>>;
  /** Requests leave blocks for so many pods: one that is still to come finds its first ones. */
  readonly podsPerNode: number;
}

/** How many flows a pod may have (RFC 6888 REQ-5). */
export interface FlowLimits {
  /** Open ones; 0: as many as there is room for. */
  readonly perPod: number;
  /** Those that nobody has answered, while the flow table is nearly full. */
  readonly unansweredPerPod: number;
}

export const DEFAULT_FLOW_LIMITS: FlowLimits = { perPod: 0, unansweredPerPod: 1024 };

/** In which order blocks are given: one that cannot be guessed from outside, or ascending. */
export type BlockOrder = 'Random' | 'Sequential';

/** Where the search for a free port begins: anywhere in the pod's blocks, or at the packet's own port modulo. */
export type PortOrder = 'Random' | 'Preserving';

/** Both ends included, host order. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface ClusterNetwork {
  readonly clusterID: string;
  /** A family that is absent is not carried. */
  readonly families: Readonly<Partial<Record<Family, FamilyNetwork>>>;
  readonly natBehaviour: NatBehaviour;
  readonly natPorts: PortRange;
  /** Ports of one pod's block; a power of two. */
  readonly blockSize: number;
  readonly blockOrder: BlockOrder;
  readonly blockQuotas: BlockQuotas;
  /** Of the NAT ports, but left to the host; blocks that touch them are not given. */
  readonly reservedPorts: readonly PortRange[];
  readonly portOrder: PortOrder;
  /** Seconds that a block rests after its last owner (RFC 6888 REQ-8). */
  readonly reuseHold: number;
  readonly nodePorts: PortRange;
  readonly timeouts: Timeouts;
  readonly flowLimits: FlowLimits;
  /** Where cluster IPs come from: of an address in there, only a service's ports answer. */
  readonly serviceCIDRs?: readonly Cidr[];
  /** Which of a node's addresses serve node ports; absent: all. */
  readonly nodePortAddresses?: readonly (Cidr | 'primary')[];
  /** Of Services that do not say it themselves; absent: Translated. */
  readonly forwardingMode?: ForwardingMode;
}

export const DEFAULT_TIMEOUTS: Timeouts = {
  tcpOpening: 240,
  tcpEstablished: 7440,
  tcpClosing: 240,
  udpOneWay: 120,
  udpTwoWay: 300,
  udpWellKnown: 30,
  icmp: 60,
};

/** 112 blocks of 256: one for the node and one for each of the 110 pods that a node may run. */
export const DEFAULT_NAT_PORTS: PortRange = { first: 36864, last: 65535 };
export const DEFAULT_BLOCK_SIZE = 256;
export const DEFAULT_BLOCK_ORDER: BlockOrder = 'Random';
export const DEFAULT_PORT_ORDER: PortOrder = 'Random';
export const DEFAULT_BLOCK_QUOTAS: BlockQuotas = { initial: 1, maximum: 4, namespaces: {}, podsPerNode: 110 };
export const DEFAULT_REUSE_HOLD = 120;
export const DEFAULT_NODE_PORTS: PortRange = { first: 30000, last: 32767 };
