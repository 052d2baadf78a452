// What a pod may send and receive: token buckets on the two ends of its veth.
import type { Endpoint, Limit } from '../model/endpoint.js';
import type { Netlink, RateLimit } from '../net/native.js';

/** Milliseconds that a byte waits at most: a longer queue would only make TCP slower to notice. */
const LATENCY = 50;
/** Bytes; room for the largest packet of a stack (BIG TCP), and for what comes while it waits. */
const LEAST_QUEUE = 262_144;
const FRAME_OVERHEAD = 18;
/** Kind of the qdisc. */
const LIMITER = 'tbf';

export interface BandwidthTarget {
  readonly node: Netlink;
  readonly pod: Netlink;
  /** Wired: with its ifindex. */
  readonly endpoint: Endpoint;
}

/**
 * What the pod receives waits on the host side; what it sends waits in the pod, where its sockets feel it. Goes away
 * with the veth. Throws the kernel's refusal.
 */
export function limitBandwidth({ node, pod, endpoint }: BandwidthTarget): void {
  const { bandwidth, ifindex, interfaceName, mtu } = endpoint;
  if (bandwidth?.ingress !== undefined) node.limitRate(ifindex, tokenBucket(bandwidth.ingress, mtu));
  const own = bandwidth?.egress === undefined ? undefined : pod.link(interfaceName);
  if (bandwidth?.egress !== undefined && own !== undefined) {
    pod.limitRate(own.ifindex, tokenBucket(bandwidth.egress, mtu));
  }
}

/** Takes the limits off again, where the devices outlive what is known of the pod. `pod`: absent when it is gone. */
export function removeLimits({ node, pod, endpoint }: Omit<BandwidthTarget, 'pod'> & { pod?: Netlink }): void {
  const { bandwidth, ifindex, interfaceName } = endpoint;
  if (bandwidth?.ingress !== undefined) removeLimit(node, ifindex);
  const own = bandwidth?.egress === undefined ? undefined : pod?.link(interfaceName);
  if (pod !== undefined && own !== undefined) removeLimit(pod, own.ifindex);
}

function removeLimit(netlink: Netlink, ifindex: number): void {
  if (netlink.rootQdisc(ifindex) === LIMITER) netlink.removeRootQdisc(ifindex);
}

/** What says that a limit is not there any more, or undefined. */
export function missingLimit({ node, pod, endpoint }: BandwidthTarget): string | undefined {
  const { bandwidth, ifindex, interfaceName, hostInterface } = endpoint;
  if (bandwidth?.ingress !== undefined && node.rootQdisc(ifindex) !== LIMITER) {
    return `${hostInterface} has lost the limit of what the pod receives`;
  }
  const own = pod.link(interfaceName);
  if (bandwidth?.egress === undefined || (own !== undefined && pod.rootQdisc(own.ifindex) === LIMITER))
    return undefined;
  return `${interfaceName} in the pod has lost the limit of what the pod sends`;
}

/** From bits to bytes. A burst below one frame would let nothing pass. */
export function tokenBucket({ rate, burst }: Limit, mtu: number): RateLimit {
  const bytes = Math.max(Math.floor(rate / 8), 1);
  return {
    rate: bytes,
    burst: Math.max(Math.floor(burst / 8), mtu + FRAME_OVERHEAD),
    limit: Math.max(Math.floor((bytes * LATENCY) / 1000), LEAST_QUEUE),
  };
}
