// Map entries as user space sees them: the structs of bpf/lib/types.h with their C field names.

/** struct endpoint; its key is the address as text. */
export interface Endpoint {
  readonly ifindex: number;
  readonly flags: number;
  readonly mac: string;
  readonly port_first: number;
  readonly port_count: number;
  readonly mtu: number;
  readonly nat_address: string;
}

/** struct route_key: a 128-bit prefix length, so an IPv4 /24 is 120. */
export interface RouteKey {
  readonly prefix_length: number;
  readonly prefix: string;
}

export interface Route {
  readonly type: number;
  readonly next_hop: string;
}

/** struct service_key; the port in host order, as every decoded __be16. */
export interface ServiceKey {
  readonly address: string;
  readonly port: number;
  readonly protocol: number;
}

export interface Service {
  readonly id: number;
  readonly generation: number;
  readonly backend_count: number;
}

export interface BackendKey {
  readonly service_id: number;
  readonly generation: number;
  readonly slot: number;
}

export interface Backend {
  readonly address: string;
  readonly port: number;
}

export interface Prefix {
  readonly address: string;
  readonly mask: string;
}

/** struct timeouts, in seconds. */
export interface Timeouts {
  readonly tcp_opening: number;
  readonly tcp_established: number;
  readonly tcp_closing: number;
  readonly udp_one_way: number;
  readonly udp_two_way: number;
  readonly icmp: number;
}

export interface Config {
  readonly node_address: readonly string[];
  readonly gateway: readonly string[];
  readonly inside: readonly Prefix[];
  readonly inside_count: number;
  readonly uplink_ifindex: number;
  readonly uplink_mtu: number;
  readonly gateway_mac: string;
  readonly nat_port_first: number;
  readonly nat_port_last: number;
  readonly node_port_first: number;
  readonly node_port_last: number;
  readonly island: readonly number[];
  readonly fast_checksum: number;
  readonly netns_cookie: bigint;
  readonly timeouts: Timeouts;
}

/** enum endpoint_flags. */
export const ENDPOINT_HOST = 1;
/** enum route_type. */
export const ROUTE_NODE = 1;
export const ROUTE_NATIVE = 2;
export const ROUTE_UNREACHABLE = 3;
/** enum config_limits. */
export const INSIDE_MAX = 8;
