// Draws the lab: who is where, with the addresses in force, and where translation happens.
import type { LabCluster, LabNode, LabPlan } from './plan.js';
import type { LabRecord } from './record.js';

const COLUMN = 50;
const GAP = '   ';
const WIDTH = 2 * COLUMN + GAP.length;

/** Lines of ASCII, at most 103 columns wide. */
export function drawPicture(plan: LabPlan, record: LabRecord): string[] {
  const [left, right] = plan.clusters.map((cluster) => drawCluster(cluster, record));
  return [...drawOutside(plan), ...sideBySide(left ?? [], right ?? []), '', ...legend(plan)].map((line) =>
    line.trimEnd(),
  );
}

function drawOutside(plan: LabPlan): string[] {
  const [client, server] = plan.hosts.map((host) => [
    center(`other ${host.name}`),
    center(host.addresses.ipv4),
    center(host.addresses.ipv6),
    center('|'),
  ]);
  const island = plan.clusters.some((cluster) => cluster.modes.ipv4 === 'Island');
  const router = island ? 'router: has no route to any IPv4 pod' : 'router: has a route to every pod';
  return [
    ...sideBySide(client ?? [], server ?? []),
    wire(plan.outside.ipv4),
    middle('|'),
    middle(router),
    middle('|'),
    wire(''),
    ...sideBySide([center('|')], [center('|')]),
  ];
}

function drawCluster(cluster: LabCluster, record: LabRecord): string[] {
  return [
    center(`cluster ${cluster.name}   segment ${cluster.segment.ipv4}`),
    center(`pods ${cluster.podCIDRs.ipv4}   ${cluster.podCIDRs.ipv6}`),
    center(`VIPs ${cluster.vips.ipv4}   ${cluster.vips.ipv6}`),
    ...cluster.nodes.flatMap((node) => drawNode(cluster, node, record)),
  ];
}

function drawNode(cluster: LabCluster, node: LabNode, record: LabRecord): string[] {
  const translated = cluster.modes.ipv4 === 'Island';
  const edge = translated ? '=[ pods and services translated, IPv4 ]' : '-[ services translated ]';
  const pods = cluster.pods.filter((pod) => pod.node === node.name);
  return [
    `+${edge.padEnd(COLUMN - 2, translated ? '=' : '-')}+`,
    boxed(`node ${node.name}  ${node.addresses.ipv4.padEnd(14)} ${node.addresses.ipv6}`),
    ...pods.map((pod) => {
      const addresses = record.pods[pod.id];
      return boxed(`  pod ${pod.name}     ${(addresses?.ipv4 ?? '-').padEnd(14)} ${addresses?.ipv6 ?? '-'}`);
    }),
    `+${'-'.repeat(COLUMN - 2)}+`,
  ];
}

function legend(plan: LabPlan): string[] {
  const [first] = plan.clusters;
  const range = first?.podCIDRs.ipv4;
  const ipv4 =
    first?.modes.ipv4 === 'Island'
      ? [
          `IPv4 island: both clusters use ${range}. A pod leaves as its node's address with a port of its own block;`,
          'it is reached by a VIP (routed to node n1) or a NodePort. Inside a cluster pods see each other as they are.',
        ]
      : ['IPv4 flat: every cluster has its own pod range; every pod is reached by, and leaves with, its own address.'];
  return [...ipv4, 'IPv6 flat: the same for IPv6 pods, side by side with IPv4 on the same nodes.'];
}

function sideBySide(left: readonly string[], right: readonly string[]): string[] {
  const rows = Math.max(left.length, right.length);
  return Array.from({ length: rows }, (_, row) => `${(left[row] ?? '').padEnd(COLUMN)}${GAP}${right[row] ?? ''}`);
}

function boxed(text: string): string {
  return `| ${text.padEnd(COLUMN - 4)} |`;
}

function center(text: string): string {
  return pad(text, COLUMN);
}

function middle(text: string): string {
  return pad(text, WIDTH);
}

function pad(text: string, width: number): string {
  return `${' '.repeat(Math.max(0, (width - text.length) >> 1))}${text}`.padEnd(width);
}

/** A segment: a line from under the left column to under the right one. */
function wire(label: string): string {
  const start = COLUMN >> 1;
  const end = start + COLUMN + GAP.length;
  return `${' '.repeat(start - 1)}${'-'.repeat(end - start)}  ${label}`;
}
