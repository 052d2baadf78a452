// The agent's unix-socket API: HTTP/1.1 with JSON, and the files the agent leaves for readers when it is down.
//
//   POST /cni        body: network configuration (stdin of the plugin); headers cni-command, cni-containerid,
//                    cni-netns, cni-ifname, cni-args, cni-path. 200: CNI result; 4xx/5xx: CNI error object.
//   GET  /status     AgentStatus
//   GET  /state      AgentState
//   GET  /services/NAMESPACE/NAME   ServiceExplanation; 404 when there is no such Service in force
//
// State directory: agent.sock, state.json (AgentState, replaced atomically after every change),
// endpoints/<containerID>-<interface>.json (model Endpoint), journal/ (journal-segments.ts). BPF pins:
// <bpffs>/<map name>, <bpffs>/links/<name>.
import type { Family } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import type { Mode } from '../model/network.js';
import type { Topology } from '../model/selection.js';
import type { ForwardingMode, LoadBalancing, TrafficPolicy } from '../model/service.js';
import type { Problem } from '../model/snapshot.js';

export const DEFAULT_STATE_DIR = '/run/isthmus';
export const DEFAULT_BPFFS = '/sys/fs/bpf/isthmus';
export const SOCKET_NAME = 'agent.sock';
export const STATE_NAME = 'state.json';
export const ENDPOINTS_NAME = 'endpoints';

/** A name for each number that maps hold only as a number. */
export interface ServiceName {
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  /** Port name, may be empty. */
  readonly port: string;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
  /** Agents before it had policies said nothing. */
  readonly internalTrafficPolicy?: TrafficPolicy;
  readonly externalTrafficPolicy?: TrafficPolicy;
}

/** Which backends of a Service are used on this node, for whom, and why. */
export interface ServiceExplanation {
  readonly namespace: string;
  readonly name: string;
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly externalTrafficPolicy: TrafficPolicy;
  /** Seconds; 0: none. */
  readonly affinityTimeout: number;
  readonly loadBalancing: LoadBalancing;
  /** In force. */
  readonly forwardingMode: ForwardingMode;
  readonly sourceRanges: readonly string[];
  /** One for each port and address family. */
  readonly ports: readonly PortExplanation[];
}

export interface PortExplanation {
  readonly id: number;
  readonly portName: string;
  readonly protocol: string;
  readonly family: Family;
  /** Which backends are preferred. */
  readonly topology: Topology;
  readonly frontends: readonly { readonly address: string; readonly port: number; readonly kind: string }[];
  readonly backends: readonly BackendExplanation[];
}

export interface BackendExplanation {
  readonly address: string;
  readonly port: number;
  /** '' when nobody says. */
  readonly nodeName: string;
  readonly zone: string;
  readonly state: 'ready' | 'terminating' | 'not ready';
  /** Used by frontends with policy Cluster, and with policy Local. */
  readonly cluster: boolean;
  readonly local: boolean;
  /** A sentence. */
  readonly reason: string;
}

export interface Attachment {
  /** Program name, e.g. from_netdev. */
  readonly program: string;
  /** Device or cgroup. */
  readonly target: string;
  readonly kind: 'tcx' | 'clsact' | 'xdp' | 'cgroup' | 'netfilter';
}

/** What happens to fragments of translated datagrams that arrive out of order. */
export interface FragmentState {
  /** `detour`: a kernel puts them in order; `cache`: they are dropped, and only those in order pass. */
  readonly mode: 'detour' | 'cache';
  /** What joins them: a BPF link (6.6) or a rule of nftables, both only in the detour's own namespaces. */
  readonly defrag?: 'netfilter' | 'nft';
  /** Why there is no detour, when one was wanted. */
  readonly reason?: string;
}

/** Where services take hold of what the node's own processes and pods send. */
export interface SocketState {
  /** `sockets`: when a program names a frontend; `packets`: only when its packet comes. */
  readonly mode: 'sockets' | 'packets';
  /** Why it is packets only, when sockets were wanted. */
  readonly reason?: string;
}

/** Where packets from the wire that go back to it are handled. */
export interface XdpState {
  /** `native`: by the device's driver, before there is an skb; `generic`: by the kernel, for any device; `tc`: after. */
  readonly mode: 'native' | 'generic' | 'tc';
  /** Why it is not native, when that was wanted. */
  readonly reason?: string;
}

/** What the devices of pods do for streams. */
export interface OffloadState {
  /** Bytes of the largest TCP packet that pods hand over in one piece; beyond 65536 it is BIG TCP. */
  readonly packetBytes: Readonly<Record<Family, number>>;
  /** Why it is less than pods could, when more was wanted. */
  readonly reason?: string;
  /** Whether the node joins segments that come from pods without TSO. */
  readonly gro: boolean;
}

/** What the agent has put in force; enough to read the pinned maps without it. */
export interface AgentState {
  readonly apiVersion: 'isthmus.dev/v1';
  readonly kind: 'AgentState';
  readonly version: string;
  readonly node: string;
  readonly clusterID: string;
  readonly modes: { readonly ipv4?: Mode; readonly ipv6?: Mode };
  readonly bpffs: string;
  readonly uplink: { readonly name: string; readonly ifindex: number; readonly mtu: number };
  readonly natPorts: { readonly first: number; readonly last: number };
  readonly blockSize: number;
  /** Seconds that a block rests between two owners; agents before it had that said nothing. */
  readonly reuseHold?: number;
  /** NAT ports that are left to the host; agents before it had that said nothing. */
  readonly reservedPorts?: readonly { readonly first: number; readonly last: number }[];
  readonly services: readonly ServiceName[];
  readonly attachments: readonly Attachment[];
  /** Agents before it had this said nothing. */
  readonly fragments?: FragmentState;
  /** Agents before it had this said nothing. */
  readonly sockets?: SocketState;
  /** Agents before it had this said nothing. */
  readonly xdp?: XdpState;
  /** Agents before it had this said nothing. */
  readonly offloads?: OffloadState;
  /** Hash of the C sources the loaded object was made from. */
  readonly sourceHash: string;
  readonly problems: readonly Problem[];
  /** Effective settings with where each came from: flag, environment, file, default. */
  readonly settings: readonly { readonly name: string; readonly value: string; readonly origin: string }[];
  /** RFC 3339: the last change. The file is older when nothing else in it has changed since, as when backends do. */
  readonly updated: string;
}

/** Where the desired state comes from. */
export interface SourceStatus {
  readonly kind: 'directory' | 'kubernetes';
  readonly where: string;
  /** It was read since the agent started. */
  readonly synced: boolean;
  /** RFC 3339: it was not, and in force is what an earlier agent knew, which had last changed then. */
  readonly kept?: string;
}

export interface AgentStatus {
  readonly state: AgentState;
  readonly pid: number;
  /** RFC 3339. */
  readonly started: string;
  readonly rssBytes: number;
  readonly endpoints: readonly Endpoint[];
  readonly source: SourceStatus;
}
