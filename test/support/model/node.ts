// What the model knows of the node: who is where, what leads where, and what may be translated.
import { execFileSync } from 'node:child_process';
import type { Config } from '../../../src/datapath/types.gen.js';
import { ENDPOINT_FLAGS, ROUTE_TYPE, SCOPE } from '../../../src/datapath/types.gen.js';
import { cidrBytes } from '../../../src/model/address.js';
import type { TestDatapath } from '../datapath.js';
import { PROTOCOL } from '../packet-layer.js';
import { type Block, blocksOf } from '../port-blocks.js';
import { type Address, addressOf } from './tuple.js';

export interface ModelEndpoint {
  readonly device: string | undefined;
  readonly mac: string;
  readonly mtu: number;
  readonly isHost: boolean;
  readonly natAddress: Address;
  readonly blocks: readonly Block[];
}

export interface Prefix<T> {
  readonly address: Address;
  /** Of 128. */
  readonly bits: number;
  readonly value: T;
}

export type ClusterRoute = 'node' | 'native' | 'unreachable';

export interface ModelNode {
  readonly config: Config;
  readonly inside: readonly Prefix<true>[];
  readonly endpoints: ReadonlyMap<Address, ModelEndpoint>;
  readonly routes: readonly Prefix<ClusterRoute>[];
  /** The host's routing table: a device, or undefined for what is not forwarded. */
  readonly host: readonly Prefix<string | undefined>[];
  /** Backends by frontend: for pods of this node, and for what comes from the wire. */
  readonly services: ReadonlyMap<string, ModelFrontend>;
  readonly deviceOf: (ifindex: number) => string;
}

export interface ModelFrontend {
  readonly internal: readonly Backend[];
  readonly external: readonly Backend[];
}

export interface Backend {
  readonly address: Address;
  readonly port: number;
}

/** Reads the maps as an agent would have filled them. */
export function modelNodeOf(datapath: TestDatapath): ModelNode {
  const { config } = datapath.object;
  const deviceOf = deviceNames(datapath);
  const inside = config.inside.slice(0, config.inside_count).map(({ address, mask }) => ({
    address: addressOf(address),
    bits: bitsOf(addressOf(mask)),
    value: true as const,
  }));
  return {
    config,
    inside,
    deviceOf,
    endpoints: readEndpoints(datapath, deviceOf),
    routes: readRoutes(datapath),
    host: hostRoutes(),
    services: readServices(datapath),
  };
}

function deviceNames({ ifindex }: TestDatapath): (ifindex: number) => string {
  const names = new Map(Object.entries(ifindex).map(([name, index]) => [index, name]));
  return (index) => names.get(index) ?? `${index}`;
}

function readEndpoints({ maps }: TestDatapath, deviceOf: ModelNode['deviceOf']): Map<Address, ModelEndpoint> {
  return new Map(
    [...maps.endpoints.scan()].map(([address, endpoint]) => [
      addressOf(address),
      {
        device: endpoint.ifindex === 0 ? undefined : deviceOf(endpoint.ifindex),
        mac: endpoint.mac,
        mtu: endpoint.mtu,
        isHost: (endpoint.flags & ENDPOINT_FLAGS.ENDPOINT_HOST) !== 0,
        natAddress: addressOf(endpoint.nat_address),
        blocks: blocksOf(endpoint),
      },
    ]),
  );
}

const ROUTE_NAMES: Readonly<Record<number, ClusterRoute>> = {
  [ROUTE_TYPE.ROUTE_NODE]: 'node',
  [ROUTE_TYPE.ROUTE_NATIVE]: 'native',
  [ROUTE_TYPE.ROUTE_UNREACHABLE]: 'unreachable',
};

function readRoutes({ maps }: TestDatapath): Prefix<ClusterRoute>[] {
  return [...maps.routes.scan()].map(([key, { type }]) => {
    const value = ROUTE_NAMES[type];
    if (value === undefined) throw new Error(`route type ${type} is not known to the model`);
    return { address: addressOf(key.prefix), bits: key.prefix_length, value };
  });
}

function readServices({ maps }: TestDatapath): Map<string, ModelFrontend> {
  const entries = [...maps.backends.scan()];
  const backendsOf = (id: number, { generation = 0 } = {}): Backend[] =>
    entries
      .filter(([key]) => key.service_id === id && key.generation === generation)
      .map(([, { address, port }]) => ({ address: addressOf(address), port }));
  return new Map(
    [...maps.services.scan()].map(([{ address, port, protocol }, { id, sets }]) => [
      frontendText(protocol, addressOf(address), port),
      { internal: backendsOf(id, sets[SCOPE.SCOPE_INTERNAL]), external: backendsOf(id, sets[SCOPE.SCOPE_EXTERNAL]) },
    ]),
  );
}

export function frontendText(protocol: number, address: Address, port: number): string {
  return `${protocol} ${address} ${port}`;
}

interface IpRoute {
  readonly type?: string;
  readonly dst: string;
  readonly dev?: string;
}

let routes: readonly Prefix<string | undefined>[] | undefined;

/** They do not change while a test runs. */
function hostRoutes(): readonly Prefix<string | undefined>[] {
  routes ??= readHostRoutes();
  return routes;
}

/** Both families and all tables: the kernel asks the table of local addresses first, and here no prefix is in two. */
function readHostRoutes(): Prefix<string | undefined>[] {
  return (['4', '6'] as const).flatMap((family) => {
    // Without the sanitizers that this process may run with: they are about our addon.
    const options = { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: '' } } as const;
    const text = execFileSync('ip', ['-json', `-${family}`, 'route', 'show', 'table', 'all'], options);
    const host = family === '4' ? 32 : 128;
    return (JSON.parse(text) as IpRoute[]).map(({ type = 'unicast', dst, dev = '' }) => {
      const plain = dst === 'default' ? (family === '4' ? '0.0.0.0/0' : '::/0') : dst;
      const cidr = plain.includes('/') ? plain : `${plain}/${host}`;
      const { bytes, length } = cidrBytes(cidr);
      const value = type === 'unicast' ? dev.replace(/^ist-up$/, 'uplink').replace(/^ist-/, '') : undefined;
      return { address: Buffer.from(bytes).toString('hex'), bits: length, value };
    });
  });
}

function bitsOf(mask: Address): number {
  return BigInt(`0x${mask}`).toString(2).replace(/0+$/, '').length;
}

/** What the longest matching prefix says. */
export function longestMatch<T>(prefixes: readonly Prefix<T>[], address: Address): Prefix<T> | undefined {
  let best: Prefix<T> | undefined;
  for (const prefix of prefixes) {
    if (prefix.bits > (best?.bits ?? -1) && isWithin(address, prefix)) best = prefix;
  }
  return best;
}

function isWithin(address: Address, { address: network, bits }: Prefix<unknown>): boolean {
  const whole = bits >> 2;
  if (!address.startsWith(network.slice(0, whole))) return false;
  const rest = bits & 3;
  if (rest === 0) return true;
  const digit = (text: Address): number => Number.parseInt(text.charAt(whole), 16) >> (4 - rest);
  return digit(address) === digit(network);
}

/** Whether mappings of a protocol are endpoint-independent. */
export function isIndependent({ config }: ModelNode, protocol: number): boolean {
  if (protocol === PROTOCOL.udp) return config.udp_endpoint_independent !== 0;
  return protocol === PROTOCOL.tcp && config.tcp_endpoint_independent !== 0;
}

export function isNatPort({ config }: ModelNode, port: number): boolean {
  return port >= config.nat_port_first && port <= config.nat_port_last;
}

export function isNodePort({ config }: ModelNode, port: number): boolean {
  return port >= config.node_port_first && port <= config.node_port_last;
}
