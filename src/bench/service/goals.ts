// The parts of the benchmark of Services, and what is to be reached.

/** Parts that can be asked for alone, in the order in which they run. */
export const SERVICE_SECTIONS = [
  'maglev',
  'programs',
  'programming',
  'latency',
  'shared-backend',
  'replacement',
  'node-port',
] as const;
export type ServiceSection = (typeof SERVICE_SECTIONS)[number];

/** Numbers of Services that are measured. */
export const SIZES = [10, 1000, 5000, 10_000, 30_000] as const;

export const SERVICE_GOALS = {
  /** Least ratios of a new connection's time, connect to close, to that of the pod's own address. */
  direct: { socket: 0.995, packet: 0.95 },
  /** Most that the same ratio differs between the smallest table and a larger one. */
  flat: 0.01,
  /** Least multiples of netfilter's speed for new connections, by the number of Services. */
  nftables: 1.3,
  'iptables-legacy': { 10: 1.31, 1000: 1.36, 5000: 1.61, 10000: 1.95 },
  'iptables-nft': { 5000: 2.1 },
  /** Most nanoseconds of an established packet through a Service above an empty program. */
  established: 90,
  /** Least multiple of the packets a second to a node port whose backend is elsewhere, against iptables. */
  nodePort: 2,
  /** Least multiple of the speed of iptables-legacy-restore when 5000 Services are written from nothing. */
  programming: 50,
  /** Most microseconds that a change of one endpoint takes in the kernel, and most milliseconds (p99) in all. */
  change: { kernel: 50, total: 5 },
  /** Most requests that fail or SYNs that are sent again, in all runs together. */
  failures: 0,
} as const;
