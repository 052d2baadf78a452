// Removal of all that an agent leaves in the kernel and on disk, once it is to stay away. Never beside one that runs.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, createAgentClient } from '../api/client.js';
import { type AgentState, ENDPOINTS_NAME, SOCKET_NAME, STATE_NAME } from '../api/protocol.js';
import { detachPinned } from '../bpf/link.js';
import { openPinnedMap } from '../bpf/map.js';
import type { Native } from '../bpf/native.js';
import { ROUTE_TYPE, type Route, type RouteKey } from '../datapath/types.gen.js';
import { familyOf, parseCidr } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import { detourNamespaces } from '../net/detour.js';
import type { NativeNet, Netlink, RouteInfo } from '../net/native.js';
import { listNamespaces } from '../net/netns.js';
import { KEY_NAME } from './block-order.js';
import { closeDetour } from './detour.js';
import { releaseNatPorts, reservesNatPorts } from './host-ports.js';
import { SNAPSHOT_NAME } from './snapshot-file.js';
import { ownedUplinkAddresses, RECORD_NAME, reconcileUplinkAddresses } from './uplink-addresses.js';

export interface CleanupOptions {
  readonly native: Native;
  readonly net: NativeNet;
  /** In the node's namespace. */
  readonly node: Netlink;
  readonly stateDir: string;
  /** What the last agent said of itself. */
  readonly state: AgentState;
  readonly endpoints: readonly Endpoint[];
}

/** Something that an agent made and that is still there. */
export interface Leftover {
  readonly kind: 'link' | 'filter' | 'namespace' | 'device' | 'route' | 'address' | 'sysctl' | 'pin' | 'file';
  readonly name: string;
  /** Throws when it stays. */
  readonly remove: () => void;
}

/** Rejects when an agent serves the state directory, or when that cannot be known. */
export async function requireStopped(stateDir: string): Promise<void> {
  try {
    const { pid } = await createAgentClient(join(stateDir, SOCKET_NAME)).status();
    throw new Error(`an agent runs (process ${pid}); nothing was removed; stop it, and see to it that it stays away`);
  } catch (error) {
    if (error instanceof AgentError && error.code === 'ERR_AGENT_DOWN') return;
    if (!(error instanceof AgentError)) throw error;
    throw new Error(`${error.message}, so an agent may be running; nothing was removed; stop it first`, {
      cause: error,
    });
  }
}

/** In the order of removal: programs first, so that none sees a map or a device half gone. The journal is not among them. */
export function listLeftovers(options: CleanupOptions): Leftover[] {
  return [
    ...links(options),
    ...filters(options),
    ...detour(options),
    ...podDevices(options),
    ...routes(options),
    ...addresses(options),
    ...reservedPorts(options),
    ...pins(options),
    ...files(options),
  ];
}

/** By program, of those whose device stays. */
const FILTER_SIDES: Readonly<Record<string, string>> = {
  from_netdev: 'ingress',
  from_chained: 'ingress',
  from_host: 'egress',
};

function entriesOf(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

function links({ native, state: { bpffs } }: CleanupOptions): Leftover[] {
  const directory = join(bpffs, 'links');
  return entriesOf(directory).map((name) => ({
    kind: 'link',
    name,
    remove: () => void detachPinned(native, join(directory, name)),
  }));
}

/** Only where there is no tcx: a filter has no pin. That of a device of ours goes with the device. */
function filters({ node, state }: CleanupOptions): Leftover[] {
  return state.attachments.flatMap(({ kind, program, target }): Leftover[] => {
    const side = FILTER_SIDES[program];
    if (kind !== 'clsact' || side === undefined || node.link(target) === undefined) return [];
    if (!tc(['-j', 'filter', 'show', 'dev', target, side]).includes(program)) return [];
    const remove = () => void tc(['filter', 'del', 'dev', target, side, 'prio', '1']);
    return [{ kind: 'filter', name: `${program} of ${target}`, remove }];
  });
}

function tc(argv: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('tc', argv, { encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`'tc ${argv.join(' ')}' failed: ${error?.message ?? stderr.trim()}`);
}

/** All three at once; see closeDetour(). */
function detour({ native, net, node, state }: CleanupOptions): Leftover[] {
  const { bpffs, node: nodeName } = state;
  const there = listNamespaces().filter((name) => detourNamespaces(nodeName).includes(name));
  const remove = () => closeDetour({ native, net, node, nodeName, bpffs, wanted: 'cache' });
  return there.map((name) => ({ kind: 'namespace', name, remove }));
}

/**
 * Its other end, in the pod, goes too: the pod has no network any more, and without programs it had none. A device of
 * another CNI plugin stays.
 */
function podDevices({ node, endpoints }: CleanupOptions): Leftover[] {
  return endpoints.flatMap(({ hostInterface, ifindex: recorded, namespace, pod, chained }): Leftover[] => {
    const ifindex = chained === true ? undefined : node.link(hostInterface)?.ifindex;
    // None is recorded of a pod whose ADD never ended.
    if (ifindex === undefined || ![ifindex, 0].includes(recorded)) return [];
    const name = `${hostInterface} of pod ${namespace}/${pod}`;
    return [{ kind: 'device', name, remove: () => void node.deleteLink(ifindex) }];
  });
}

/** The node's own routes to pods of other nodes are those that the datapath knows, too. */
function routes({ native, node, state: { bpffs } }: CleanupOptions): Leftover[] {
  const path = join(bpffs, 'routes');
  if (!existsSync(path)) return [];
  using map = openPinnedMap<RouteKey, Route>(native, path);
  const known = new Set(
    [...map.scan()]
      .filter(([, { type }]) => type === ROUTE_TYPE.ROUTE_NODE)
      .map(([key, { next_hop: nextHop }]) => `${cidrOf(key)} by ${nextHop}`),
  );
  return node
    .routes()
    .filter((route) => known.has(routeName(route)))
    .map((route) => ({ kind: 'route', name: routeName(route), remove: () => void node.deleteRoute(route) }));
}

function cidrOf({ prefix, prefix_length: bits }: RouteKey): string {
  return parseCidr(`${prefix}/${familyOf(prefix) === 'ipv4' ? bits - 96 : bits}`);
}

function routeName({ destination, gateway }: RouteInfo): string {
  return `${parseCidr(destination)} by ${gateway ?? ''}`;
}

function addresses({ node, stateDir, state }: CleanupOptions): Leftover[] {
  const uplink = node.link(state.uplink.name);
  if (uplink === undefined) return [];
  const remove = () => {
    const [failure] = reconcileUplinkAddresses([], { node, uplink, stateDir });
    if (failure !== undefined) throw new Error(failure.reason);
  };
  return ownedUplinkAddresses(stateDir).map((address) => ({
    kind: 'address',
    name: `${address} of ${uplink.name}`,
    remove,
  }));
}

/** Forwarding stays on: others may need it. */
function reservedPorts({ node, state: { natPorts } }: CleanupOptions): Leftover[] {
  if (!reservesNatPorts(node, natPorts)) return [];
  const name = `${natPorts.first}-${natPorts.last} of net.ipv4.ip_local_reserved_ports`;
  return [{ kind: 'sysctl', name, remove: () => releaseNatPorts(node, natPorts) }];
}

/** The kernel frees a map when nothing names it any more. */
function pins({ state: { bpffs } }: CleanupOptions): Leftover[] {
  // The kernel's own two files are in every bpffs.
  const names = entriesOf(bpffs).filter((name) => !name.endsWith('.debug'));
  return names.map((name) => ({
    kind: 'pin',
    name: join(bpffs, name),
    remove: () => rmSync(join(bpffs, name), { recursive: true }),
  }));
}

/** What the journal says of the past is no state; whoever wants it gone removes it. The state comes last: it is the map of all this. */
function files({ stateDir }: CleanupOptions): Leftover[] {
  return [SOCKET_NAME, ENDPOINTS_NAME, RECORD_NAME, KEY_NAME, SNAPSHOT_NAME, STATE_NAME]
    .map((name) => join(stateDir, name))
    .filter((path) => existsSync(path))
    .map((path) => ({ kind: 'file', name: path, remove: () => rmSync(path, { recursive: true, force: true }) }));
}
