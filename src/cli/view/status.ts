// The health of one node's dataplane, with the reason for every doubt.
import type { Instance } from '../../api/instances.js';
import type { AgentStatus, OffloadState, XdpState } from '../../api/protocol.js';
import { describePressure, type FlowTable, isUnderPressure, rankTalkers, usedPercent } from '../../model/flow-table.js';
import type { Mode } from '../../model/network.js';
import type { Problem } from '../../model/snapshot.js';

export type Health = 'healthy' | 'degraded' | 'waiting' | 'down';

/** An item of StatusList. */
export interface StatusItem {
  readonly node: string;
  readonly health: Health;
  /** One sentence for each thing that is not as it should be. */
  readonly reasons: readonly string[];
  readonly version: string;
  readonly clusterID: string;
  readonly modes: { readonly ipv4?: Mode; readonly ipv6?: Mode };
  readonly uplink: { readonly name: string; readonly ifindex: number; readonly mtu: number };
  readonly bpffs: string;
  readonly agent: {
    readonly phase: 'running' | 'down';
    readonly pid?: number;
    readonly ageSeconds?: number;
    readonly rssBytes?: number;
  };
  readonly source?: AgentStatus['source'];
  readonly endpoints: number;
  readonly services: number;
  /** Of the flow table; absent when it cannot be read. */
  readonly flows?: { readonly entries: number; readonly maxEntries: number; readonly usedPercent: number };
  readonly programs: number;
  /** Absent when the agent does not say. */
  readonly xdp?: XdpState;
  /** Absent when the agent does not say. */
  readonly offloads?: OffloadState;
  readonly maps: number;
  readonly problems: readonly Problem[];
  readonly problemCount: number;
  /** RFC 3339: when the state last changed. */
  readonly updated: string;
}

/** What is there beside the agent; undefined where it cannot be read. */
export interface KernelState {
  /** Names of the pinned maps. */
  readonly pins: readonly string[] | undefined;
  readonly flowTable: FlowTable | undefined;
}

/** `now`: milliseconds of the wall clock. */
export function viewStatus(instance: Instance, { pins, flowTable }: KernelState, now: number): StatusItem {
  const { state, status, node } = instance;
  const reasons = [
    ...agentReasons(instance),
    ...pinReasons(instance, pins),
    ...flowReasons(instance, flowTable),
    ...state.problems.map(problemReason),
  ];
  return {
    node,
    health: healthOf(instance, reasons),
    reasons,
    version: state.version,
    clusterID: state.clusterID,
    modes: state.modes,
    uplink: state.uplink,
    bpffs: state.bpffs,
    agent: agentOf(status, now),
    ...(status === undefined ? {} : { source: status.source }),
    endpoints: instance.endpoints.length,
    services: new Set(state.services.map(({ namespace, name }) => `${namespace}/${name}`)).size,
    ...(flowTable === undefined ? {} : { flows: flowsOf(flowTable) }),
    programs: state.attachments.length,
    ...(state.xdp !== undefined && { xdp: state.xdp }),
    ...(state.offloads !== undefined && { offloads: state.offloads }),
    maps: pins?.length ?? 0,
    problems: state.problems,
    problemCount: state.problems.length,
    updated: state.updated,
  };
}

function agentOf(status: AgentStatus | undefined, now: number): StatusItem['agent'] {
  if (status === undefined) return { phase: 'down' };
  const { pid, rssBytes, started } = status;
  return { phase: 'running', pid, rssBytes, ageSeconds: Math.max(0, Math.floor((now - Date.parse(started)) / 1000)) };
}

function healthOf({ status }: Instance, reasons: readonly string[]): Health {
  if (status === undefined) return 'down';
  if (!status.source.synced && status.source.kept === undefined) return 'waiting';
  return reasons.length === 0 ? 'healthy' : 'degraded';
}

function agentReasons({ agentError, status, state }: Instance): string[] {
  if (status === undefined) {
    const why = agentError?.message ?? 'it does not answer';
    return [
      `the agent is down: ${why}; packets are forwarded as before, new pods and changes wait until it is started`,
    ];
  }
  const { where, synced, kept } = status.source;
  const held =
    kept === undefined ? 'the maps hold the last state' : `in force is what was known, last changed at ${kept}`;
  const unsynced = `the source ${where} is not read yet; ${held}`;
  const detached = 'no program is attached: packets of pods are not forwarded';
  const disordered = `fragments that arrive out of order are dropped: ${state.fragments?.reason}`;
  const bypassed = `services are reached by packets only, not by processes of the node: ${state.sockets?.reason}`;
  return [
    ...(synced ? [] : [unsynced]),
    ...(state.attachments.length > 0 ? [] : [detached]),
    ...(state.fragments?.reason === undefined ? [] : [disordered]),
    ...(state.sockets?.reason === undefined ? [] : [bypassed]),
  ];
}

function flowsOf({ entries, maxEntries }: FlowTable): NonNullable<StatusItem['flows']> {
  return { entries, maxEntries, usedPercent: usedPercent({ entries, maxEntries }) };
}

function flowReasons({ state, endpoints }: Instance, table: FlowTable | undefined): string[] {
  if (table === undefined || !isUnderPressure(table)) return [];
  return [describePressure(table, rankTalkers(table, { endpoints, uplink: state.uplink }))];
}

function pinReasons({ state }: Instance, pins: readonly string[] | undefined): string[] {
  if (pins === undefined) return [`the pinned maps in ${state.bpffs} cannot be read`];
  return pins.length > 0 ? [] : [`no map is pinned in ${state.bpffs}: connections end when the agent does`];
}

function problemReason({ where, object, reason, inForce }: Problem): string {
  return `${where}: ${object} is refused: ${reason}; in force: ${inForce}`;
}
