// Grants of port blocks: who may use which ports of which addresses, and a journal's line about it.
import type { IpAddress } from './address.js';

/** Ports of a block, host order. */
export interface BlockPorts {
  readonly first: number;
  readonly count: number;
}

/** An address inside, and the translation address of its family. */
export interface GrantedAddress {
  readonly inside: IpAddress;
  readonly outside: IpAddress;
}

export type BlockOwner =
  | {
      readonly kind: 'Pod';
      readonly namespace: string;
      readonly name: string;
      readonly uid: string;
      readonly containerID: string;
    }
  | { readonly kind: 'Node'; readonly name: string };

/** The right to use a block's ports of every outside address, all protocols together. */
export interface BlockGrant {
  readonly ports: BlockPorts;
  readonly addresses: readonly GrantedAddress[];
  readonly owner: BlockOwner;
  readonly node: string;
  readonly clusterID: string;
}

/** What happened to a block. Times are RFC 3339 with milliseconds, of the node's wall clock. */
export interface BlockEvent extends BlockGrant {
  readonly time: string;
  readonly event: 'granted' | 'released';
}

/** Ports that nobody owns any more. */
export interface BlockRelease {
  readonly ports: BlockPorts;
  /** Of these addresses; journals before nodes had several say nothing, and mean all. */
  readonly outside?: readonly IpAddress[];
  readonly time: string;
}

/** How things stood when a segment of the journal was begun: enough to forget all that was before. */
export interface BlockSnapshot {
  readonly time: string;
  readonly event: 'snapshot';
  readonly grants: readonly (BlockGrant & { readonly since: string })[];
  /** The last release of each block that was given back not long ago. */
  readonly releases: readonly BlockRelease[];
}

export type JournalLine = BlockEvent | BlockSnapshot;

/** The same text for the same grant, whatever the order of its fields was. */
export function grantText({ ports, addresses, owner, node, clusterID }: BlockGrant): string {
  return JSON.stringify(ordered({ ports, addresses, owner, node, clusterID }));
}

/** One line of JSON with its line feed: without it a line does not count. */
export function formatLine(line: JournalLine): string {
  const { time, event } = line;
  const rest = event === 'snapshot' ? { grants: line.grants, releases: line.releases } : ordered(line);
  return `${JSON.stringify({ time, event, ...rest })}\n`;
}

/** The line, or undefined when the text is not one. */
export function parseLine(text: string): JournalLine | undefined {
  try {
    const line = JSON.parse(text) as Partial<JournalLine> | null;
    return line !== null && isLine(line) ? line : undefined;
  } catch {
    return undefined;
  }
}

/** `37120-37375` */
export function portsText({ first, count }: BlockPorts): string {
  return `${first}-${first + count - 1}`;
}

/** Whether two ranges have a port in common. */
export function overlap(a: BlockPorts, b: BlockPorts): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}

/** The translation addresses of a grant, each once. */
export function outsideOf({ addresses }: Pick<BlockGrant, 'addresses'>): IpAddress[] {
  return [...new Set(addresses.map(({ outside }) => outside))];
}

/** Whether a release is about an address. */
export function isOf({ outside }: Pick<BlockRelease, 'outside'>, address: IpAddress): boolean {
  return outside === undefined || outside.includes(address);
}

/** The same text for releases of the same ports of the same addresses. */
export function releaseText({ ports, outside }: Pick<BlockRelease, 'ports' | 'outside'>): string {
  return [portsText(ports), ...(outside ?? [])].join(' ');
}

/** `pod shop/web-0` or `node n1` */
export function ownerText(owner: BlockOwner): string {
  if (owner.kind === 'Node') return `node ${owner.name}`;
  return owner.namespace === '' ? `container ${owner.containerID}` : `pod ${owner.namespace}/${owner.name}`;
}

function ordered({ ports, addresses, owner, node, clusterID }: BlockGrant): BlockGrant {
  return {
    ports: { first: ports.first, count: ports.count },
    addresses: addresses.map(({ inside, outside }) => ({ inside, outside })),
    owner: orderedOwner(owner),
    node,
    clusterID,
  };
}

function orderedOwner(owner: BlockOwner): BlockOwner {
  if (owner.kind === 'Node') return { kind: 'Node', name: owner.name };
  const { kind, namespace, name, uid, containerID } = owner;
  return { kind, namespace, name, uid, containerID };
}

function isLine(line: Partial<JournalLine>): line is JournalLine {
  if (typeof line.time !== 'string' || Number.isNaN(Date.parse(line.time))) return false;
  if (line.event === 'granted' || line.event === 'released') return isGrant(line);
  if (line.event !== 'snapshot' || !Array.isArray(line.grants) || !Array.isArray(line.releases)) return false;
  return line.grants.every(isGrant) && line.releases.every(isRelease);
}

function isGrant({ ports, addresses, owner }: Partial<BlockGrant>): boolean {
  const pairs = Array.isArray(addresses) && addresses.every((pair) => typeof pair?.outside === 'string');
  return pairs && arePorts(ports) && (owner?.kind === 'Pod' || owner?.kind === 'Node');
}

function isRelease({ ports, time }: Partial<BlockRelease>): boolean {
  return arePorts(ports) && typeof time === 'string';
}

function arePorts(ports: Partial<BlockPorts> | undefined): boolean {
  return Number.isInteger(ports?.first) && Number.isInteger(ports?.count);
}
