// Generated from the BTF of bpf/datapath.bpf.c by `npm run gen`: change bpf/lib/types.h instead.
// Names are those of C. Fields are what the codecs of src/btf/codec.ts make of them.

/** struct affinity */
export interface Affinity {
  readonly address: string;
  readonly port: number;
  readonly slot: number;
  readonly seen: number;
}

/** struct affinity_key */
export interface AffinityKey {
  readonly client: string;
  readonly service_id: number;
}

/** struct backend */
export interface Backend {
  readonly address: string;
  readonly port: number;
}

/** struct backend_key */
export interface BackendKey {
  readonly service_id: number;
  readonly generation: number;
  readonly slot: number;
}

/** struct backend_set */
export interface BackendSet {
  readonly generation: number;
  readonly backend_count: number;
}

/** struct bucket_head */
export interface BucketHead {
  readonly first: bigint;
  readonly lock: bigint;
}

/** struct bucket_row */
export interface BucketRow {
  readonly heads: readonly BucketHead[];
}

/** struct config */
export interface Config {
  readonly node_address: readonly string[];
  readonly gateway: readonly string[];
  readonly inside: readonly Prefix[];
  readonly local: readonly Prefix[];
  readonly inside_count: number;
  readonly local_count: number;
  readonly uplink_ifindex: number;
  readonly uplink_mtu: number;
  readonly gateway_mac: string;
  readonly nat_port_first: number;
  readonly nat_port_last: number;
  readonly node_port_first: number;
  readonly node_port_last: number;
  readonly island: Uint8Array;
  readonly udp_endpoint_independent: number;
  readonly tcp_endpoint_independent: number;
  readonly filtering: number;
  readonly fast_checksum: number;
  readonly random_ports: number;
  readonly netns_cookie: bigint;
  readonly timeouts: Timeouts;
  readonly detour_ifindex: readonly number[];
  readonly detour_mac: string;
  readonly reserved: readonly PortRange[];
  readonly reserved_count: number;
  readonly loaded: number;
  readonly cut_ifindex: number;
  readonly flow_limit: number;
  readonly unanswered_limit: number;
  readonly service_cidrs: readonly Prefix[];
  readonly service_cidr_count: number;
  readonly uplink_mac: string;
  readonly xdp_redirect: number;
}

/** enum cut_size */
export type CutSize = 'CUT_NONE' | 'CUT_SMALL' | 'CUT_MEDIUM' | 'CUT_LARGE';
export const CUT_SIZE = {
  CUT_NONE: 0,
  CUT_SMALL: 576,
  CUT_MEDIUM: 1280,
  CUT_LARGE: 1500,
} as const;

/** struct datagram_peer_key */
export interface DatagramPeerKey {
  readonly cookie: bigint;
  readonly address: string;
  readonly port: number;
  readonly side: number;
}

/** struct detour_budget */
export interface DetourBudget {
  readonly second: number;
  readonly away: number;
}

/** struct detour_source */
export interface DetourSource {
  readonly budget: DetourBudget;
  readonly ethernet_source: string;
  readonly ethernet_destination: string;
}

/** struct direct_backend */
export interface DirectBackend {
  readonly port: number;
}

/** struct direct_key */
export interface DirectKey {
  readonly pod: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: number;
}

/** enum direction */
export type Direction = 'DIRECTION_FROM_CONTAINER' | 'DIRECTION_FROM_NETDEV';
export const DIRECTION = {
  DIRECTION_FROM_CONTAINER: 0,
  DIRECTION_FROM_NETDEV: 1,
} as const;

/** struct drop_counter */
export interface DropCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** struct drop_event */
export interface DropEvent {
  readonly header: EventHeader;
  readonly reason: number;
  readonly direction: number;
  readonly ifindex: number;
  readonly length: number;
  readonly packet: Uint8Array;
}

/** struct drop_key */
export interface DropKey {
  readonly reason: number;
  readonly direction: number;
}

/** enum drop_reason */
export type DropReason =
  | 'DROP_NONE'
  | 'DROP_TRUNCATED'
  | 'DROP_MALFORMED'
  | 'DROP_UNSUPPORTED_PROTOCOL'
  | 'DROP_UNSUPPORTED_ETHERTYPE'
  | 'DROP_SPOOFED'
  | 'DROP_NOT_ROUTABLE'
  | 'DROP_NO_ROUTE'
  | 'DROP_NO_ENDPOINT'
  | 'DROP_NO_BACKEND'
  | 'DROP_NO_FLOW'
  | 'DROP_PORTS_EXHAUSTED'
  | 'DROP_FLOW_TABLE_FULL'
  | 'DROP_NO_PORT_BLOCK'
  | 'DROP_TTL_EXCEEDED'
  | 'DROP_TOO_BIG'
  | 'DROP_FRAGMENT_MISS'
  | 'DROP_ICMP_ERROR_NO_FLOW'
  | 'DROP_ICMP_UNSUPPORTED'
  | 'DROP_REWRITE_FAILED'
  | 'DROP_NEIGHBOUR_UNKNOWN'
  | 'DROP_WRONG_DEVICE'
  | 'DROP_IP_OPTIONS'
  | 'DROP_FILTERED'
  | 'DROP_FRAGMENT_LIMIT'
  | 'DROP_DETOUR_STRAY'
  | 'DROP_PORT_BLOCK_WANTED'
  | 'DROP_FLOW_LIMIT'
  | 'DROP_FLOW_PRESSURE'
  | 'DROP_NO_LOCAL_BACKEND'
  | 'DROP_SOURCE_RANGE'
  | 'DROP_NO_SERVICE'
  | 'DROP_TUNNEL_SOURCE'
  | 'DROP_NO_DIRECT_BACKEND';
export const DROP_REASON = {
  DROP_NONE: 0,
  DROP_TRUNCATED: 1,
  DROP_MALFORMED: 2,
  DROP_UNSUPPORTED_PROTOCOL: 3,
  DROP_UNSUPPORTED_ETHERTYPE: 4,
  DROP_SPOOFED: 5,
  DROP_NOT_ROUTABLE: 6,
  DROP_NO_ROUTE: 7,
  DROP_NO_ENDPOINT: 8,
  DROP_NO_BACKEND: 9,
  DROP_NO_FLOW: 10,
  DROP_PORTS_EXHAUSTED: 11,
  DROP_FLOW_TABLE_FULL: 12,
  DROP_NO_PORT_BLOCK: 13,
  DROP_TTL_EXCEEDED: 14,
  DROP_TOO_BIG: 15,
  DROP_FRAGMENT_MISS: 16,
  DROP_ICMP_ERROR_NO_FLOW: 17,
  DROP_ICMP_UNSUPPORTED: 18,
  DROP_REWRITE_FAILED: 19,
  DROP_NEIGHBOUR_UNKNOWN: 20,
  DROP_WRONG_DEVICE: 21,
  DROP_IP_OPTIONS: 22,
  DROP_FILTERED: 23,
  DROP_FRAGMENT_LIMIT: 24,
  DROP_DETOUR_STRAY: 25,
  DROP_PORT_BLOCK_WANTED: 26,
  DROP_FLOW_LIMIT: 27,
  DROP_FLOW_PRESSURE: 28,
  DROP_NO_LOCAL_BACKEND: 29,
  DROP_SOURCE_RANGE: 30,
  DROP_NO_SERVICE: 31,
  DROP_TUNNEL_SOURCE: 32,
  DROP_NO_DIRECT_BACKEND: 33,
} as const;

/** struct endpoint */
export interface Endpoint {
  readonly ifindex: number;
  readonly flags: number;
  readonly mac: string;
  readonly mtu: number;
  readonly block_size: number;
  readonly block_count: number;
  readonly nat_address: string;
  readonly blocks: readonly number[];
}

/** enum endpoint_flags */
export type EndpointFlags = 'ENDPOINT_HOST' | 'ENDPOINT_MAY_GROW' | 'ENDPOINT_LIMITED' | 'ENDPOINT_CHAINED';
export const ENDPOINT_FLAGS = {
  ENDPOINT_HOST: 1,
  ENDPOINT_MAY_GROW: 2,
  ENDPOINT_LIMITED: 4,
  ENDPOINT_CHAINED: 8,
} as const;

/** enum endpoint_limits */
export type EndpointLimits = 'ENDPOINT_BLOCKS_MAX';
export const ENDPOINT_LIMITS = {
  ENDPOINT_BLOCKS_MAX: 16,
} as const;

/** struct event_header */
export interface EventHeader {
  readonly type: number;
  readonly cpu: number;
  readonly time: bigint;
}

/** enum filtering */
export type Filtering = 'FILTERING_ADDRESS_AND_PORT' | 'FILTERING_ADDRESS' | 'FILTERING_NONE';
export const FILTERING = {
  FILTERING_ADDRESS_AND_PORT: 0,
  FILTERING_ADDRESS: 1,
  FILTERING_NONE: 2,
} as const;

/** struct flow */
export interface Flow {
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
  readonly ifindex_in: number;
  readonly ifindex_out: number;
  readonly next_hop: string;
  readonly mac: string;
  readonly mtu: number;
  readonly flags: number;
  readonly seen: number;
  readonly created: number;
  readonly resolved: number;
  readonly shift: number;
  readonly timestamp: number;
  readonly sequence: number;
  readonly clock: number;
  readonly acknowledged: number;
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** struct flow_count */
export interface FlowCount {
  readonly open: number;
  readonly unanswered: number;
  readonly closed: number;
  readonly walk_open: number;
  readonly walk_unanswered: number;
  readonly walk_closed: number;
  readonly refused: bigint;
}

/** enum flow_flags */
export type FlowFlags =
  | 'FLOW_REPLY'
  | 'FLOW_REWRITE_SOURCE'
  | 'FLOW_REWRITE_DESTINATION'
  | 'FLOW_TO_CONTAINER'
  | 'FLOW_SEEN_REPLY'
  | 'FLOW_FIN_ORIGINAL'
  | 'FLOW_FIN_REPLY'
  | 'FLOW_RESET'
  | 'FLOW_HAS_TIMESTAMP'
  | 'FLOW_RESET_VALID'
  | 'FLOW_INBOUND'
  | 'FLOW_TO_HOST'
  | 'FLOW_ENCAPSULATE'
  | 'FLOW_AWAITED'
  | 'FLOW_LIMITED';
export const FLOW_FLAGS = {
  FLOW_REPLY: 1,
  FLOW_REWRITE_SOURCE: 2,
  FLOW_REWRITE_DESTINATION: 4,
  FLOW_TO_CONTAINER: 8,
  FLOW_SEEN_REPLY: 16,
  FLOW_FIN_ORIGINAL: 32,
  FLOW_FIN_REPLY: 64,
  FLOW_RESET: 128,
  FLOW_HAS_TIMESTAMP: 256,
  FLOW_RESET_VALID: 512,
  FLOW_INBOUND: 1024,
  FLOW_TO_HOST: 2048,
  FLOW_ENCAPSULATE: 4096,
  FLOW_AWAITED: 8192,
  FLOW_LIMITED: 16384,
} as const;

/** struct flow_key */
export interface FlowKey {
  readonly source: string;
  readonly destination: string;
  readonly source_port: number;
  readonly destination_port: number;
  readonly protocol: number;
}

/** struct flow_total */
export interface FlowTotal {
  readonly entries: number;
}

/** struct fragment */
export interface Fragment {
  readonly since: number;
  readonly bytes: number;
  readonly total: number;
  readonly source_port: number;
  readonly destination_port: number;
  readonly icmp_type: number;
  readonly protocol: number;
  readonly detour: number;
  readonly complete: number;
}

/** struct fragment_counter */
export interface FragmentCounter {
  readonly first: bigint;
  readonly hit: bigint;
  readonly miss: bigint;
  readonly detour: bigint;
  readonly limited: bigint;
  readonly returned: bigint;
  readonly disordered: bigint;
}

/** struct fragment_key */
export interface FragmentKey {
  readonly source: string;
  readonly destination: string;
  readonly identification: number;
  readonly protocol: number;
  readonly ordered: number;
}

/** struct hit_counter */
export interface HitCounter {
  readonly connections: bigint;
}

/** struct hit_key */
export interface HitKey {
  readonly address: string;
  readonly service_id: number;
  readonly port: number;
}

/** struct maglev_chunk */
export interface MaglevChunk {
  readonly slots: readonly number[];
}

/** struct maglev_key */
export interface MaglevKey {
  readonly service_id: number;
  readonly generation: number;
  readonly chunk: number;
}

/** enum maglev_limits */
export type MaglevLimits = 'MAGLEV_SLOTS' | 'MAGLEV_CHUNK';
export const MAGLEV_LIMITS = {
  MAGLEV_SLOTS: 16381,
  MAGLEV_CHUNK: 512,
} as const;

/** struct mapping */
export interface Mapping {
  readonly address: string;
  readonly port: number;
  readonly expires: number;
}

/** struct mapping_key */
export interface MappingKey {
  readonly address: string;
  readonly remote: string;
  readonly port: number;
  readonly protocol: number;
  readonly side: number;
  readonly remote_port: number;
}

/** enum mapping_side */
export type MappingSide = 'MAPPING_INSIDE' | 'MAPPING_OUTSIDE' | 'MAPPING_CONTACT';
export const MAPPING_SIDE = {
  MAPPING_INSIDE: 1,
  MAPPING_OUTSIDE: 2,
  MAPPING_CONTACT: 3,
} as const;

/** struct nat_counter */
export interface NatCounter {
  readonly created: bigint;
  readonly reused: bigint;
  readonly shifted: bigint;
  readonly forced: bigint;
  readonly exhausted: bigint;
  readonly probes: readonly bigint[];
}

/** struct next_hop */
export interface NextHop {
  readonly address: string;
  readonly mac: string;
  readonly source: string;
  readonly resolved: number;
  readonly told: number;
}

/** struct node_mtu */
export interface NodeMtu {
  readonly next_hop: string;
  readonly resolved: number;
  readonly mtu: number;
}

/** struct port_range */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** struct prefix */
export interface Prefix {
  readonly address: string;
  readonly mask: string;
}

/** struct quote */
export interface Quote {
  readonly reply_key: FlowKey;
  readonly network: Uint8Array;
  readonly transport: Uint8Array;
  readonly network_before: Uint8Array;
  readonly transport_before: Uint8Array;
  readonly network_at: number;
  readonly transport_at: number;
  readonly transport_bytes: number;
}

/** struct route */
export interface Route {
  readonly type: number;
  readonly next_hop: string;
}

/** struct route_key */
export interface RouteKey {
  readonly prefix_length: number;
  readonly prefix: string;
}

/** enum route_type */
export type RouteType = 'ROUTE_NODE' | 'ROUTE_NATIVE' | 'ROUTE_UNREACHABLE';
export const ROUTE_TYPE = {
  ROUTE_NODE: 1,
  ROUTE_NATIVE: 2,
  ROUTE_UNREACHABLE: 3,
} as const;

/** struct sample */
export interface Sample {
  readonly second: number;
  readonly sent: number;
}

/** enum scope */
export type Scope = 'SCOPE_INTERNAL' | 'SCOPE_EXTERNAL' | 'SCOPE_COUNT';
export const SCOPE = {
  SCOPE_INTERNAL: 0,
  SCOPE_EXTERNAL: 1,
  SCOPE_COUNT: 2,
} as const;

/** struct scratch */
export interface Scratch {
  readonly key: FlowKey;
  readonly reply_key: FlowKey;
  readonly pair_key: FlowKey;
  readonly flow: Flow;
  readonly reply: Flow;
  readonly blocks: readonly number[];
  readonly block_size: number;
  readonly block_count: number;
  readonly port_count: number;
  readonly port_start: number;
  readonly result: number;
  readonly probes: number;
  readonly shortage_kind: number;
  readonly independent: number;
  readonly refusal: number;
  readonly syn: Segment;
  readonly mapping_key: MappingKey;
  readonly mapping: Mapping;
  readonly best: number;
  readonly worst: number;
  readonly options: Uint8Array;
  readonly shortage_key: ShortageKey;
  readonly shortage: Shortage;
  readonly quote: Quote;
  readonly icmp: Uint8Array;
  readonly header: Uint8Array;
  readonly pseudo: Uint8Array;
  readonly fib: Uint8Array;
  readonly node_key: FlowKey;
  readonly node_way: Flow;
  readonly row: BucketRow;
  readonly walked: { readonly key: FlowKey; readonly flow: Flow };
  readonly walked_mapping: { readonly key: MappingKey; readonly mapping: Mapping };
  readonly direct_key: DirectKey;
  readonly tunnel_source: string;
  readonly tunnel_destination: string;
}

/** struct segment */
export interface Segment {
  readonly timestamp: number;
  readonly sequence: number;
  readonly option: number;
}

/** struct service */
export interface Service {
  readonly id: number;
  readonly flags: number;
  readonly affinity: number;
  readonly sets: readonly BackendSet[];
}

/** enum service_flags */
export type ServiceFlags =
  | 'SERVICE_DROP_INTERNAL'
  | 'SERVICE_DROP_EXTERNAL'
  | 'SERVICE_SOURCE_RANGES'
  | 'SERVICE_MAGLEV'
  | 'SERVICE_SERVING'
  | 'SERVICE_ADDRESS'
  | 'SERVICE_DIRECT';
export const SERVICE_FLAGS = {
  SERVICE_DROP_INTERNAL: 1,
  SERVICE_DROP_EXTERNAL: 2,
  SERVICE_SOURCE_RANGES: 4,
  SERVICE_MAGLEV: 8,
  SERVICE_SERVING: 16,
  SERVICE_ADDRESS: 32,
  SERVICE_DIRECT: 64,
} as const;

/** struct service_key */
export interface ServiceKey {
  readonly address: string;
  readonly port: number;
  readonly protocol: number;
}

/** struct serving_key */
export interface ServingKey {
  readonly address: string;
  readonly service_id: number;
  readonly port: number;
}

/** struct shortage */
export interface Shortage {
  readonly waiting: bigint;
  readonly refused: bigint;
  readonly remote: string;
  readonly remote_port: number;
  readonly protocol: number;
  readonly since: number;
  readonly last: number;
  readonly told: number;
  readonly asked: number;
  readonly blocks: number;
}

/** struct shortage_event */
export interface ShortageEvent {
  readonly header: EventHeader;
  readonly pod: string;
  readonly remote: string;
  readonly remote_port: number;
  readonly protocol: number;
  readonly family: number;
  readonly kind: number;
  readonly ifindex: number;
  readonly blocks: number;
}

/** struct shortage_key */
export interface ShortageKey {
  readonly ifindex: number;
  readonly family: number;
}

/** enum shortage_kind */
export type ShortageKind = 'SHORTAGE_NEAR' | 'SHORTAGE_WAITING' | 'SHORTAGE_REFUSED';
export const SHORTAGE_KIND = {
  SHORTAGE_NEAR: 1,
  SHORTAGE_WAITING: 2,
  SHORTAGE_REFUSED: 3,
} as const;

/** enum shortage_limits */
export type ShortageLimits =
  | 'SHORTAGE_NEAR_PROBES'
  | 'SHORTAGE_ASK_MS'
  | 'SHORTAGE_PATIENCE'
  | 'SHORTAGE_FORGET';
export const SHORTAGE_LIMITS = {
  SHORTAGE_NEAR_PROBES: 64,
  SHORTAGE_ASK_MS: 100,
  SHORTAGE_PATIENCE: 3,
  SHORTAGE_FORGET: 10,
} as const;

/** struct socket_peer */
export interface SocketPeer {
  readonly frontend: string;
  readonly backend: string;
  readonly frontend_port: number;
  readonly backend_port: number;
  readonly more: number;
}

/** struct source_range_key */
export interface SourceRangeKey {
  readonly prefix_length: number;
  readonly service_id: number;
  readonly prefix: string;
}

/** struct sweep */
export interface Sweep {
  readonly last: number;
  readonly walked: number;
  readonly removed: number;
  readonly removed_total: bigint;
}

/** enum sweep_result */
export type SweepResult = 'SWEEP_DONE' | 'SWEEP_MORE' | 'SWEEP_FAILED';
export const SWEEP_RESULT = {
  SWEEP_DONE: 0,
  SWEEP_MORE: 1,
  SWEEP_FAILED: 2,
} as const;

/** struct timeouts */
export interface Timeouts {
  readonly tcp_opening: number;
  readonly tcp_established: number;
  readonly tcp_closing: number;
  readonly udp_one_way: number;
  readonly udp_two_way: number;
  readonly udp_well_known: number;
  readonly icmp: number;
}

/** struct walk */
export interface Walk {
  readonly kind: number;
  readonly ifindex: number;
  readonly mappings: number;
  readonly bucket: number;
  readonly walked: number;
  readonly removed: number;
  readonly entries: number;
  readonly scratch: number;
  readonly now: number;
  readonly began: bigint;
  readonly spent: bigint;
  readonly element: bigint;
}

/** enum walker */
export type Walker = 'WALKER_TIMER' | 'WALKER_AGENT' | 'WALKER_COUNT';
export const WALKER = {
  WALKER_TIMER: 0,
  WALKER_AGENT: 1,
  WALKER_COUNT: 2,
} as const;

/** struct way */
export interface Way {
  readonly key: FlowKey;
  readonly ifindex_in: number;
  readonly ifindex_out: number;
  readonly next_hop: string;
  readonly mtu: number;
  readonly resolved: number;
}

/** struct xdp_counter */
export interface XdpCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Key and value of every map; a per-CPU map has one value a possible CPU. */
export interface Maps {
  readonly affinities: { readonly key: AffinityKey; readonly value: Affinity };
  readonly backends: { readonly key: BackendKey; readonly value: Backend };
  readonly datagram_peers: { readonly key: DatagramPeerKey; readonly value: SocketPeer };
  readonly detour_sources: { readonly key: string; readonly value: DetourSource };
  readonly detour_totals: { readonly key: number; readonly value: DetourBudget };
  readonly direct_backends: { readonly key: DirectKey; readonly value: DirectBackend };
  readonly drops: { readonly key: DropKey; readonly value: readonly DropCounter[] };
  readonly endpoints: { readonly key: string; readonly value: Endpoint };
  readonly flow_counts: { readonly key: number; readonly value: FlowCount };
  readonly flow_locks: { readonly key: number; readonly value: number };
  readonly flow_totals: { readonly key: number; readonly value: FlowTotal };
  readonly flows: { readonly key: FlowKey; readonly value: Flow };
  readonly fragment_stats: { readonly key: number; readonly value: readonly FragmentCounter[] };
  readonly fragments: { readonly key: FragmentKey; readonly value: Fragment };
  readonly hits: { readonly key: HitKey; readonly value: readonly HitCounter[] };
  readonly maglev: { readonly key: MaglevKey; readonly value: MaglevChunk };
  readonly mappings: { readonly key: MappingKey; readonly value: Mapping };
  readonly nat_counters: { readonly key: number; readonly value: readonly NatCounter[] };
  readonly next_hops: { readonly key: number; readonly value: readonly NextHop[] };
  readonly node_mtus: { readonly key: number; readonly value: readonly NodeMtu[] };
  readonly routes: { readonly key: RouteKey; readonly value: Route };
  readonly samples: { readonly key: DropKey; readonly value: Sample };
  readonly scratches: { readonly key: number; readonly value: readonly Scratch[] };
  readonly services: { readonly key: ServiceKey; readonly value: Service };
  readonly serving: { readonly key: ServingKey; readonly value: number };
  readonly shortages: { readonly key: ShortageKey; readonly value: Shortage };
  readonly socket_peers: { readonly key: number; readonly value: SocketPeer };
  readonly source_ranges: { readonly key: SourceRangeKey; readonly value: number };
  readonly sweeps: { readonly key: number; readonly value: Sweep };
  readonly walks: { readonly key: number; readonly value: Walk };
  readonly ways: { readonly key: number; readonly value: readonly Way[] };
  readonly xdp_counters: { readonly key: number; readonly value: readonly XdpCounter[] };
}

/** Every record of the ring buffer, by its struct. */
export interface Events {
  readonly drop_event: DropEvent;
  readonly shortage_event: ShortageEvent;
}
