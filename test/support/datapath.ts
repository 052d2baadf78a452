// The real programs on packets of our own: loaded once a test file, with maps that nobody else has.

import { join } from 'node:path';
import type { KernelMap } from '../../src/bpf/map.js';
import { loadNative, type NativeError, type NativeProgram } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import type { Config, Maps } from '../../src/datapath/types.gen.js';
import { DROP_REASON, ENDPOINT_LIMITS, FLOW_FLAGS, ROUTE_TYPE } from '../../src/datapath/types.gen.js';
import { type Cidr, cidrBytes, formatAddress, maskBytes } from '../../src/model/address.js';
import { DEFAULT_FLOW_LIMITS, DEFAULT_TIMEOUTS } from '../../src/model/network.js';
import { DETOUR_MAC } from '../../src/net/detour.js';
import type { Packet } from './packet.js';
import { type Addresses, BLOCK, createWorld, type Device, from, HOOKS, MAC, PORTS, V4, V6 } from './world.js';

const OBJECT = join(import.meta.dirname, '../../build/bpf/datapath.bpf.o');
/** Pod CIDRs of the cluster. */
export const INSIDE = ['10.244.0.0/16', 'fd00:1:1::/48'];
/** Of them, this node's. */
const LOCAL = ['10.244.1.0/24', 'fd00:1:1:1::/64'];
const VERDICTS: Readonly<Record<number, Verdict>> = { 4294967295: 'next', 2: 'drop', 7: 'redirect' };
/** struct __sk_buff: its size, and offsets of what a test run accepts. */
export const SKB = { bytes: 192, ifindex: 40, cb: 48, gsoSegments: 164, gsoSize: 176 } as const;
/** BPF_F_TEST_SKB_CHECKSUM_COMPLETE */
const CHECKSUM_COMPLETE = 4;
const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp6', 132: 'sctp' };

export type Verdict = 'next' | 'drop' | 'redirect';
export type DropName = keyof typeof DROP_REASON;

export interface Outcome {
  readonly verdict: Verdict;
  readonly bytes: Buffer;
}

export interface Setup {
  readonly config?: Partial<Config>;
  readonly flowEntries?: number;
  /** Of an object that has more than the datapath in it. */
  readonly objectPath?: string;
}

export interface RunOptions {
  readonly gsoSize?: number;
  /** As if the device had summed the whole packet: the kernel checks that the sum stays true (CHECKSUM_COMPLETE). */
  readonly summed?: boolean;
  /** Another program than the device has in this world. */
  readonly program?: string;
}

type DatapathObject = BpfObject<Maps, Config>;
type MapName =
  | 'endpoints'
  | 'routes'
  | 'services'
  | 'backends'
  | 'maglev'
  | 'source_ranges'
  | 'serving'
  | 'direct_backends'
  | 'affinities'
  | 'hits'
  | 'flows'
  | 'flow_totals'
  | 'flow_counts'
  | 'mappings'
  | 'fragments'
  | 'drops'
  | 'samples'
  | 'shortages'
  | 'sweeps';
type KernelMaps = { readonly [N in MapName]: KernelMap<Maps[N]['key'], Maps[N]['value']> };

const MAP_NAMES: readonly MapName[] = [
  'endpoints',
  'routes',
  'services',
  'backends',
  'maglev',
  'source_ranges',
  'serving',
  'direct_backends',
  'affinities',
  'hits',
  'flows',
  'flow_totals',
  'flow_counts',
  'mappings',
  'fragments',
  'drops',
  'samples',
  'shortages',
  'sweeps',
];

export class TestDatapath implements Disposable {
  readonly object: DatapathObject;
  readonly maps: KernelMaps;
  readonly ifindex: Readonly<Record<Device, number>>;
  readonly #programs = new Map<string, NativeProgram>();

  private constructor(object: DatapathObject, ifindex: Readonly<Record<Device, number>>) {
    this.object = object;
    this.ifindex = ifindex;
    this.maps = Object.fromEntries(MAP_NAMES.map((name) => [name, object.map(name)])) as unknown as KernelMaps;
  }

  /** Loads the programs in the current namespace; the first call there makes its devices. */
  static async open({ config = {}, flowEntries = 4096, objectPath = OBJECT }: Setup = {}): Promise<TestDatapath> {
    world ??= createWorld();
    const object = BpfObject.open<Maps, Config>(loadNative(), objectPath);
    object.configure({ ...defaultConfig(world), ...config });
    object.setMaxEntries('flows', flowEntries);
    await object.load();
    return new TestDatapath(object, world);
  }

  /** Whether the kernel makes packets with a device's sum over all of them. */
  get canSum(): boolean {
    const frame = from('uplink').ip({ source: V4.remote, destination: V4.node }).udp({ source: 1, destination: 2 });
    try {
      this.run('uplink', frame, { summed: true });
      return true;
    } catch (error) {
      if ((error as NativeError).code === 'EINVAL') return false;
      throw error;
    }
  }

  /** Runs a packet through the hook of the device that it comes in from. */
  run(device: Device, packet: Packet | Buffer, options: RunOptions = {}): Outcome {
    const { gsoSize = 0, summed = false, program = HOOKS[device] } = options;
    const { data, context } = this.testRunOf(device, packet);
    context.writeUInt32LE(gsoSize, SKB.gsoSize);
    context.writeUInt32LE(gsoSize === 0 ? 0 : 2, SKB.gsoSegments);
    const result = this.program(program).testRun({ data, context, flags: summed ? CHECKSUM_COMPLETE : 0 });
    const verdict = VERDICTS[result.retval];
    if (verdict === undefined) throw new Error(`${program} returned ${result.retval}`);
    return { verdict, bytes: result.data };
  }

  /** The bytes and the context of a test run of the device's hook. */
  testRunOf(device: Device, packet: Packet | Buffer): { readonly data: Buffer; readonly context: Buffer } {
    const context = Buffer.alloc(SKB.bytes);
    context.writeUInt32LE(this.ifindex[device], SKB.ifindex);
    return { data: Buffer.isBuffer(packet) ? packet : packet.bytes(), context };
  }

  /** Closed with the datapath. */
  program(name: string): NativeProgram {
    const program = this.#programs.get(name) ?? this.object.program(name);
    this.#programs.set(name, program);
    return program;
  }

  /** Both families as the agent fills them; nothing else. */
  reset(): void {
    for (const name of MAP_NAMES) {
      if (name !== 'sweeps' && name !== 'flow_totals') clear(this.maps[name] as KernelMap<unknown, unknown>);
    }
    this.maps.flow_totals.set(0, { entries: 0 });
    for (const family of [V4, V6]) this.#seed(family);
  }

  /** One backend list for any number of frontends. */
  setService(
    frontends: readonly Maps['services']['key'][],
    backends: readonly { address: string; port: number }[],
  ): void {
    const id = [...this.maps.services.scan()].reduce((last, [, service]) => Math.max(last, service.id), 0) + 1;
    backends.forEach((backend, slot) => {
      this.maps.backends.set({ service_id: id, generation: 1, slot }, backend);
    });
    for (const frontend of frontends) {
      this.maps.services.set(frontend, aFrontend(id, { backend_count: backends.length }));
    }
  }

  /** Packets dropped since the reset, by reason. */
  drops(): Partial<Record<DropName, number>> {
    const names = Object.fromEntries(Object.entries(DROP_REASON).map(([name, value]) => [value, name as DropName]));
    const totals: Partial<Record<DropName, number>> = {};
    for (const [{ reason }, counters] of this.maps.drops.scan()) {
      const name = names[reason];
      if (name === undefined) throw new Error(`drop reason ${reason} has no name`);
      totals[name] = (totals[name] ?? 0) + counters.reduce((sum, { packets }) => sum + Number(packets), 0);
    }
    return totals;
  }

  /** Every flow entry as a line of text, sorted. */
  flows(): string[] {
    return [...this.maps.flows.scan()].map(([key, flow]) => this.#flowText(key, flow)).sort();
  }

  [Symbol.dispose](): void {
    for (const program of this.#programs.values()) program.close();
    for (const map of Object.values(this.maps)) map.close();
    this.object.close();
  }

  #flowText(key: Maps['flows']['key'], flow: Maps['flows']['value']): string {
    const device = (ifindex: number) =>
      Object.entries(this.ifindex).find(([, value]) => value === ifindex)?.[0] ?? `${ifindex}`;
    const flags = Object.entries(FLOW_FLAGS).filter(([, bit]) => flow.flags & bit);
    const names = flags.map(([name]) => name.replace('FLOW_', '').toLowerCase());
    const way = flow.flags & FLOW_FLAGS.FLOW_TO_CONTAINER ? flow.mac : flow.next_hop;
    return (
      `${PROTOCOL_NAMES[key.protocol] ?? key.protocol} ${tuple(key)} => ${tuple(flow)} ` +
      `${device(flow.ifindex_in)} -> ${device(flow.ifindex_out)} ${way} mtu ${flow.mtu} ${names.join(' ')}`
    );
  }

  #seed({ a, b, node, otherNode, far }: Addresses): void {
    const { endpoints, routes } = this.maps;
    const common = { nat_address: node };
    const host = { ifindex: 0, flags: 1, mac: '00:00:00:00:00:00', mtu: 0, ...blocks(BLOCK, PORTS.node) };
    endpoints.set(node, { ...common, ...host });
    for (const [address, name] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const ports = blocks(BLOCK, PORTS[name]);
      const pod = { ifindex: this.ifindex[name], flags: 0, mac: MAC[name], mtu: 1500, ...ports };
      endpoints.set(address, { ...common, ...pod });
    }
    const bits = node.includes(':') ? [128, 64, 48] : [128, 120, 112];
    routes.set(routeKey(node, bits[0]), { type: ROUTE_TYPE.ROUTE_NATIVE, next_hop: node });
    routes.set(routeKey(otherNode, bits[0]), { type: ROUTE_TYPE.ROUTE_NATIVE, next_hop: otherNode });
    routes.set(routeKey(far, bits[1]), { type: ROUTE_TYPE.ROUTE_NODE, next_hop: otherNode });
    routes.set(routeKey(a, bits[2]), { type: ROUTE_TYPE.ROUTE_UNREACHABLE, next_hop: '::' });
  }
}

/** The fields of an endpoint that owns these blocks, each of `size` ports. */
export function blocks(size: number, ...firsts: readonly number[]): BlockFields {
  const length = ENDPOINT_LIMITS.ENDPOINT_BLOCKS_MAX;
  return {
    block_size: size,
    block_count: firsts.length,
    blocks: Array.from({ length }, (_, index) => firsts[index] ?? 0),
  };
}

type BlockFields = Pick<Maps['endpoints']['value'], 'block_size' | 'block_count' | 'blocks'>;

/** A value of the map `services` with one set of backends for everybody. */
export function aFrontend(
  id: number,
  { generation = 1, backend_count = 0, flags = 0, affinity = 0 } = {},
): Maps['services']['value'] {
  const set = { generation, backend_count };
  return { id, flags, affinity, sets: [set, set] };
}

let world: Record<Device, number> | undefined;

function tuple(at: { source: string; source_port: number; destination: string; destination_port: number }): string {
  return `${endText(at.source, at.source_port)} > ${endText(at.destination, at.destination_port)}`;
}

function endText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function clear(map: KernelMap<unknown, unknown>): void {
  map.deleteMany([...map.scan()].map(([key]) => key));
}

/** The key of an address's network of so many bits (of 128). */
export function routeKey(address: string, bits = 128): Maps['routes']['key'] {
  const { bytes } = cidrBytes(`${address}/${address.includes(':') ? 128 : 32}`);
  const mask = maskBytes(bits);
  return { prefix_length: bits, prefix: formatAddress(bytes.map((byte, index) => byte & (mask[index] ?? 0))) };
}

function prefixOf(cidr: Cidr): Config['inside'][number] {
  const { bytes, length } = cidrBytes(cidr);
  return { address: formatAddress(bytes), mask: formatAddress(maskBytes(length)) };
}

function defaultConfig({ uplink }: Readonly<Record<Device, number>>): Config {
  const inside = INSIDE.map(prefixOf);
  const local = LOCAL.map(prefixOf);
  const none = { address: '::', mask: '::' };
  const { tcpOpening, tcpEstablished, tcpClosing, udpOneWay, udpTwoWay, udpWellKnown, icmp } = DEFAULT_TIMEOUTS;
  return {
    node_address: [V4.node, V6.node],
    gateway: [V4.gateway, V6.gateway],
    inside: Array.from({ length: 8 }, (_, index) => inside[index] ?? none),
    inside_count: inside.length,
    local: Array.from({ length: 4 }, (_, index) => local[index] ?? none),
    local_count: local.length,
    uplink_ifindex: uplink,
    uplink_mtu: 1500,
    uplink_mac: MAC.uplink,
    xdp_redirect: 0,
    gateway_mac: MAC.gateway,
    nat_port_first: 36_864,
    nat_port_last: 65_535,
    node_port_first: 30_000,
    node_port_last: 32_767,
    island: Uint8Array.of(1, 1),
    udp_endpoint_independent: 0,
    tcp_endpoint_independent: 0,
    filtering: 0,
    fast_checksum: 1,
    netns_cookie: 1n,
    detour_ifindex: [0, 0],
    detour_mac: DETOUR_MAC,
    random_ports: 0,
    reserved: Array.from({ length: 8 }, () => ({ first: 0, last: 0 })),
    reserved_count: 0,
    loaded: 0,
    cut_ifindex: 0,
    service_cidrs: Array.from({ length: 4 }, () => ({ address: '::', mask: '::' })),
    service_cidr_count: 0,
    timeouts: {
      tcp_opening: tcpOpening,
      tcp_established: tcpEstablished,
      tcp_closing: tcpClosing,
      udp_one_way: udpOneWay,
      udp_two_way: udpTwoWay,
      udp_well_known: udpWellKnown,
      icmp,
    },
    flow_limit: DEFAULT_FLOW_LIMITS.perPod,
    unanswered_limit: DEFAULT_FLOW_LIMITS.unansweredPerPod,
  };
}
