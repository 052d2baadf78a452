// What of the lab is there: places, addresses, agents.
import { existsSync } from 'node:fs';
import type { AddressPair } from '../testbed/node.js';
import { agentPid, askAgent } from '../testbed/node-agent.js';
import type { LabMode, LabNode, LabPlan } from './plan.js';
import { allNodes, allPods, planLab } from './plan.js';
import type { LabRecord } from './record.js';

export interface StatusRow {
  readonly name: string;
  readonly kind: 'node' | 'pod' | 'outside' | 'router';
  readonly netns: string;
  readonly ipv4: string;
  readonly ipv6: string;
  /** `agent 1234`, `wired`, `up`, or what is wrong. */
  readonly state: string;
  readonly ok: boolean;
}

export interface LabStatus {
  readonly apiVersion: 'isthmus.dev/v1';
  readonly kind: 'LabStatus';
  readonly mode: LabMode;
  readonly created: string;
  readonly items: readonly StatusRow[];
}

export async function labStatus(record: LabRecord): Promise<LabStatus> {
  const plan = planLab(record.mode);
  const nodes = await Promise.all(allNodes(plan).map(nodeRow));
  const items = [...nodes, ...podRows(plan, record), ...outsideRows(plan)];
  return { apiVersion: 'isthmus.dev/v1', kind: 'LabStatus', mode: record.mode, created: record.created, items };
}

async function nodeRow(node: LabNode): Promise<StatusRow> {
  const pid = agentPid(node);
  const answers = (await askAgent(node))?.pid === pid;
  const agent = pid === undefined ? 'no agent' : answers ? `agent ${pid}` : `agent ${pid} does not answer`;
  const base = placeRow({ name: node.name, kind: 'node', netns: node.netns }, node.addresses, agent);
  return { ...base, ok: base.ok && answers && pid !== undefined };
}

function podRows(plan: LabPlan, record: LabRecord): StatusRow[] {
  return allPods(plan).map((pod) => {
    const addresses = record.pods[pod.id];
    const state = addresses ? 'wired' : 'not wired';
    const row = placeRow({ name: pod.id, kind: 'pod', netns: pod.netns }, addresses, state);
    return { ...row, ok: row.ok && addresses !== undefined };
  });
}

function outsideRows(plan: LabPlan): StatusRow[] {
  const router = { name: 'router', kind: 'router', netns: plan.router.netns } as const;
  return [
    ...plan.hosts.map((host) =>
      placeRow({ name: host.name, kind: 'outside', netns: host.netns }, host.addresses, 'up'),
    ),
    placeRow(router, plan.router.gateway, 'up'),
  ];
}

type Named = Pick<StatusRow, 'name' | 'kind' | 'netns'>;

function placeRow(named: Named, addresses: AddressPair | undefined, state: string): StatusRow {
  const exists = existsSync(`/run/netns/${named.netns}`);
  const { ipv4 = '-', ipv6 = '-' } = addresses ?? {};
  return { ...named, ipv4, ipv6, state: exists ? state : 'no namespace', ok: exists };
}
