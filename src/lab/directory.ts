// Resolves the names that cases use to addresses, ports and the sources that servers must see.
import type { Family, IpAddress } from '../model/address.js';
import { familyOf } from '../model/address.js';
import { portsOf } from '../model/port-blocks.js';
import type { AddressPair } from '../testbed/node.js';
import { askAgent } from '../testbed/node-agent.js';
import type { LabCase } from './cases.js';
import type { LabNode, LabPlan } from './plan.js';
import { allNodes, allPods, clusterOf, SERVER_PORT, SERVICE_PORT } from './plan.js';
import type { LabRecord } from './record.js';
import { LabError } from './record.js';

export interface Target {
  readonly address: IpAddress;
  readonly port: number;
}

/** Both ends included. */
export interface Ports {
  readonly first: number;
  readonly last: number;
}

/** A source that is right: an address, and the ports when they matter. */
export interface Source {
  readonly address: IpAddress;
  readonly ports?: readonly Ports[];
}

/** Everything that a case's names can mean in the lab that is up. */
export interface Directory {
  readonly plan: LabPlan;
  readonly addresses: ReadonlyMap<string, AddressPair>;
  readonly nodeOf: ReadonlyMap<string, LabNode>;
  /** Port blocks by pod id. */
  readonly blocks: ReadonlyMap<string, readonly Ports[]>;
}

/** Reads which port block each pod has from the agents. Throws LabError when one does not answer. */
export async function openDirectory(plan: LabPlan, record: LabRecord): Promise<Directory> {
  const addresses = new Map<string, AddressPair>(Object.entries(record.pods));
  const nodeOf = new Map<string, LabNode>();
  for (const node of allNodes(plan)) addresses.set(node.name, node.addresses);
  for (const node of allNodes(plan)) nodeOf.set(node.name, node);
  for (const host of plan.hosts) {
    addresses.set(host.name, host.addresses);
    if (host.narrow) addresses.set(`${host.name}/narrow`, host.narrow);
  }
  addresses.set('router/out', plan.router.gateway);
  for (const cluster of plan.clusters) addresses.set(`router/${cluster.name}`, cluster.gateway);
  const blocks = new Map<string, readonly Ports[]>();
  for (const node of allNodes(plan)) await readBlocks(node, blocks);
  for (const pod of allPods(plan)) {
    const node = nodeOf.get(pod.node);
    if (node) nodeOf.set(pod.id, node);
  }
  return { plan, addresses, nodeOf, blocks };
}

/** The ports that a pod may use now; the agents may have given it more since the directory was opened. */
export async function portsOfPod(directory: Directory, pod: string): Promise<readonly Ports[]> {
  const node = directory.nodeOf.get(pod);
  const blocks = new Map<string, readonly Ports[]>();
  if (node) await readBlocks(node, blocks);
  const ports = blocks.get(pod);
  if (!ports) throw new LabError(`the agent of ${pod} reports no port block for it`);
  return ports;
}

async function readBlocks(node: LabNode, blocks: Map<string, readonly Ports[]>): Promise<void> {
  const status = await askAgent(node);
  if (!status) throw new LabError(`the agent of ${node.name} does not answer, so nobody knows its pods' port blocks`);
  for (const { pod, nat } of status.endpoints) {
    const numbers = [...new Set(nat.flatMap((one) => one.blocks))];
    const ports = numbers.map((block) => portsOf(status.state, block));
    blocks.set(
      `${node.cluster}/${pod}`,
      ports.map(({ first, count }) => ({ first, last: first + count - 1 })),
    );
  }
}

/** Where a case connects to. */
export function targetOf(directory: Directory, to: string, family: Family): Target {
  const [kind, rest = ''] = to.split(':');
  if (kind === 'nodeport') {
    const [node = '', name = ''] = rest.split('/');
    const cluster = directory.nodeOf.get(node)?.cluster ?? '';
    return { address: addressOf(directory, node, family), port: serviceOf(directory, cluster, name).nodePort };
  }
  if (kind === 'vip' || kind === 'clusterip') {
    const [cluster = '', name = ''] = rest.split('/');
    const service = serviceOf(directory, cluster, name);
    return { address: (kind === 'vip' ? service.vip : service.clusterIP)[family], port: SERVICE_PORT };
  }
  return { address: addressOf(directory, to, family), port: SERVER_PORT };
}

/** The sources that are right for a case; none when the server sees nothing or nobody can tell. */
export function expectedSources(directory: Directory, of: LabCase): Source[] {
  const own = { address: addressOf(directory, of.from, of.family) };
  switch (of.expectedSource) {
    case 'own':
      return [own];
    case 'block':
      return [blockOf(directory, of)];
    case 'inside':
      return directory.blocks.has(of.from) ? [own, { address: nodeAddressOf(directory, of.from, of.family) }] : [own];
    case 'gateway':
      return [{ address: gatewayOf(directory, of) }];
    default:
      return [];
  }
}

/** `192.0.2.11:37120-37375`, `10.244.1.2`. */
export function formatSource(source: Source): string {
  const { address, ports } = source;
  if (!ports) return address;
  const host = familyOf(address) === 'ipv6' ? `[${address}]` : address;
  return `${host}:${ports.map(({ first, last }) => `${first}-${last}`).join(',')}`;
}

/** Whether a source as the server printed it, `A:P` or `[A]:P`, is the expected one. */
export function matchesSource(saw: string, source: Source): boolean {
  const colon = saw.lastIndexOf(':');
  const address = saw.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(saw.slice(colon + 1));
  if (address !== source.address) return false;
  return source.ports === undefined || source.ports.some(({ first, last }) => port >= first && port <= last);
}

/** What the lab calls an address; the address itself when nobody has it. */
export function nameOf(directory: Directory, address: string): string {
  for (const [name, { ipv4, ipv6 }] of directory.addresses) if (address === ipv4 || address === ipv6) return name;
  return address;
}

export function addressOf(directory: Directory, name: string, family: Family): IpAddress {
  const address = directory.addresses.get(name)?.[family];
  if (address !== undefined) return address;
  throw new LabError(`nothing in the lab is called '${name}'; it has ${[...directory.addresses.keys()].join(', ')}`);
}

function nodeAddressOf(directory: Directory, name: string, family: Family): IpAddress {
  return addressOf(directory, directory.nodeOf.get(name)?.name ?? name, family);
}

function blockOf(directory: Directory, of: LabCase): Source {
  const ports = directory.blocks.get(of.from);
  if (!ports) throw new LabError(`the agent of ${of.from} reports no port block for it`);
  return { address: nodeAddressOf(directory, of.from, of.family), ports };
}

/** The node that a VIP is routed to is the first of its cluster; a NodePort names its node. */
function gatewayOf(directory: Directory, of: LabCase): IpAddress {
  const [kind, rest = ''] = of.to.split(':');
  const [owner = ''] = rest.split('/');
  const node = kind === 'nodeport' ? owner : (clusterOf(directory.plan, owner).nodes[0]?.name ?? '');
  return addressOf(directory, node, of.family);
}

function serviceOf(
  directory: Directory,
  cluster: string,
  name: string,
): LabPlan['clusters'][number]['services'][number] {
  const found = clusterOf(directory.plan, cluster).services.find((service) => service.name === name);
  if (found) return found;
  throw new LabError(`cluster ${cluster} has no service '${name}'`);
}
