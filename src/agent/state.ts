// What the agent leaves on disk for readers: src/api/protocol.ts AgentState.
import type { AgentState, OffloadState, ServiceName } from '../api/protocol.js';
import type { Desired } from '../datapath/compile.js';
import type { Datapath } from '../datapath/datapath.js';
import type { CompiledService } from '../datapath/service-entries.js';
import { listCompiled } from '../datapath/services.js';
import { FAMILIES } from '../model/address.js';
import { DEFAULT_BLOCK_SIZE, DEFAULT_NAT_PORTS, DEFAULT_REUSE_HOLD, type Mode } from '../model/network.js';
import type { Service } from '../model/service.js';
import type { Problem, Snapshot } from '../model/snapshot.js';
import type { LinkInfo } from '../net/native.js';
import { describeRouteFailure, type RouteFailure } from './host-routes.js';
import type { ListenFailure } from './http-listeners.js';
import type { ProgramStates } from './node-programs.js';
import type { Origin, Settings } from './settings.js';
import type { AddressFailure } from './uplink-addresses.js';

export interface DescribeStateInput extends ProgramStates {
  readonly settings: Settings;
  readonly origins: readonly Origin[];
  readonly version: string;
  readonly uplink: LinkInfo;
  readonly offloads: OffloadState;
  readonly datapath: Datapath;
  readonly snapshot: Snapshot;
  readonly desired: Desired;
  readonly routeFailures: readonly RouteFailure[];
  readonly addressFailures: readonly AddressFailure[];
  readonly listenFailures: readonly ListenFailure[];
}

/** Whether the state would say the same: backends are not in it, and they change most. */
export function isSameState(before: DescribeStateInput | undefined, input: DescribeStateInput): boolean {
  if (before === undefined) return false;
  const same = (name: 'network' | 'nodes' | 'services') => before.snapshot[name] === input.snapshot[name];
  const quiet = (described: DescribeStateInput) => problemsOf(described).length === 0;
  return (
    same('network') &&
    same('nodes') &&
    same('services') &&
    quiet(before) &&
    quiet(input) &&
    sameItems(before.attachments, input.attachments)
  );
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

export function describeState(input: DescribeStateInput): AgentState {
  const { settings, origins, version, uplink, datapath, fragments, sockets, xdp, offloads, snapshot, desired } = input;
  const { network } = snapshot;
  const modes: { ipv4?: Mode; ipv6?: Mode } = {};
  for (const family of FAMILIES) {
    const mode = network?.families[family]?.mode;
    if (mode !== undefined) modes[family] = mode;
  }
  return {
    apiVersion: 'isthmus.dev/v1',
    kind: 'AgentState',
    version,
    node: settings.node,
    clusterID: network?.clusterID ?? '',
    modes,
    bpffs: settings.bpffs,
    uplink: { name: uplink.name, ifindex: uplink.ifindex, mtu: uplink.mtu },
    natPorts: network?.natPorts ?? DEFAULT_NAT_PORTS,
    blockSize: network?.blockSize ?? DEFAULT_BLOCK_SIZE,
    reuseHold: network?.reuseHold ?? DEFAULT_REUSE_HOLD,
    reservedPorts: network?.reservedPorts ?? [],
    services: Array.from(listCompiled(desired.services), nameService),
    attachments: input.attachments,
    fragments,
    sockets,
    xdp,
    offloads,
    sourceHash: datapath.sourceHash,
    problems: problemsOf(input),
    settings: origins,
    updated: new Date().toISOString(),
  };
}

/** The state that stays in force when a newer snapshot could not be put in force as a whole. */
export function describeRefusal(state: AgentState, snapshot: Snapshot, reason: string): AgentState {
  const object = `Node ${state.node}`;
  const refusal: Problem = { where: object, object, reason, inForce: 'the last good state' };
  return { ...state, problems: [...snapshot.problems, refusal], updated: new Date().toISOString() };
}

function problemsOf(input: DescribeStateInput): Problem[] {
  const { snapshot, desired, routeFailures, addressFailures, listenFailures } = input;
  return [
    ...snapshot.problems,
    ...desired.problems,
    ...routeFailures.map(routeProblem),
    ...addressFailures.map(addressProblem),
    ...listenFailures.map(listenProblem),
  ];
}

function listenProblem({ object, address, reason }: ListenFailure): Problem {
  return { where: address, object, reason, inForce: 'everything but this; it is tried again every few seconds' };
}

function addressProblem({ address, reason }: AddressFailure): Problem {
  const object = `translation address ${address}`;
  return { where: object, object, reason, inForce: 'its port blocks; but nobody on the link may find the address' };
}

function routeProblem(failure: RouteFailure): Problem {
  const object = `route to ${failure.route.destination}`;
  return { where: object, object, reason: describeRouteFailure(failure), inForce: 'everything but this route' };
}

function nameService({ id, unit: { service, port } }: CompiledService): ServiceName {
  return {
    id,
    namespace: service.namespace,
    name: service.name,
    port: port.name,
    type: typeOf(service),
    internalTrafficPolicy: service.internalTrafficPolicy,
    externalTrafficPolicy: service.externalTrafficPolicy,
  };
}

/** The widest way in that the Service has. */
function typeOf(service: Service): ServiceName['type'] {
  if (service.externalIPs.length + service.loadBalancerIPs.length > 0) return 'LoadBalancer';
  return service.ports.some(({ nodePort }) => nodePort !== undefined) ? 'NodePort' : 'ClusterIP';
}
