// Which backends of a service port are used on one node: for traffic that may go anywhere, and for traffic that stays.
import { type Backend, isExternallyAccessible, type Service, type ServicePort } from './service.js';

/** The node that selects. */
export interface Place {
  readonly nodeName: string;
  /** '' when the node is in none. */
  readonly zone: string;
}

/** Which ready backends are preferred: those that are hinted for this node, for its zone, or none in particular. */
export type Topology = 'SameNode' | 'SameZone' | 'Anywhere';

export interface Selection {
  /** For policy Cluster. Empty when no frontend has that policy. */
  readonly cluster: readonly Backend[];
  /** For policy Local. Empty when no frontend has that policy. */
  readonly local: readonly Backend[];
  readonly topology: Topology;
  /** Whether terminating ones are used, because no other is left. */
  readonly clusterFallback: boolean;
  readonly localFallback: boolean;
  /** Whether there is a usable backend on any node: without one connections are refused, never dropped. */
  readonly anywhere: boolean;
}

/** Ports whose frontends differ in policy need both sets. Backends come out in the order they came in. */
export function selectBackends(
  backends: readonly Backend[],
  { service, port }: { readonly service: Service; readonly port: ServicePort },
  place: Place,
): Selection {
  const external = isExternallyAccessible(service, port);
  const internalLocal = service.internalTrafficPolicy === 'Local';
  const usesCluster = !internalLocal || external;
  const usesLocal = internalLocal || (service.externalTrafficPolicy === 'Local' && external);
  const topology = usesCluster ? chooseTopology(backends, place) : 'Anywhere';
  const nearby = backends.filter((backend) => backend.ready && isPreferred(backend, topology, place));
  const cluster = usesCluster ? withFallback(nearby, backends) : NONE;
  const here = backends.filter(({ nodeName }) => nodeName !== '' && nodeName === place.nodeName);
  const local = usesLocal ? withFallback(here.filter(isReady), here) : NONE;
  return {
    cluster: cluster.backends,
    local: local.backends,
    topology,
    clusterFallback: cluster.fallback,
    localFallback: local.fallback,
    anywhere: backends.some((backend) => backend.ready || isLastResort(backend)),
  };
}

const NONE = { backends: [], fallback: false };

/** Of all that serve a port: whether a flow to it may go on, whatever policies and hints say. */
export function isServing({ ready, serving }: Backend): boolean {
  return ready || serving;
}

function withFallback(ready: readonly Backend[], all: readonly Backend[]) {
  if (ready.length > 0) return { backends: ready, fallback: false };
  const lastResort = all.filter(isLastResort);
  return { backends: lastResort, fallback: lastResort.length > 0 };
}

function isReady({ ready }: Backend): boolean {
  return ready;
}

function isLastResort({ serving, terminating }: Backend): boolean {
  return serving && terminating;
}

/** Hints count only when every ready backend has one: with half of them, load would go astray. */
function chooseTopology(backends: readonly Backend[], { nodeName, zone }: Place): Topology {
  const ready = backends.filter(isReady);
  if (ready.length === 0) return 'Anywhere';
  const all = (hints: 'nodeHints' | 'zoneHints') => ready.every((backend) => backend[hints].length > 0);
  if (all('nodeHints') && ready.some(({ nodeHints }) => nodeHints.includes(nodeName))) return 'SameNode';
  if (zone !== '' && all('zoneHints') && ready.some(({ zoneHints }) => zoneHints.includes(zone))) return 'SameZone';
  return 'Anywhere';
}

function isPreferred({ nodeHints, zoneHints }: Backend, topology: Topology, { nodeName, zone }: Place): boolean {
  if (topology === 'SameNode') return nodeHints.includes(nodeName);
  return topology === 'Anywhere' || zoneHints.includes(zone);
}
