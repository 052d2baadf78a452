// The world of the RFC tests: an island's node with its pods, a router, two servers, and a third host.
//
//   pod a, b, ... eth0 --- ist... \                                   / s1     198.18.1.11  .12   servers on two ports
//                                  node .10 --- 192.0.2.0/24 --- .1 outside --- s2     198.18.2.11  .12   of each address
//                                               2001:db8:2::/64       \ third  198.18.3.11  .12
//
// `outside` forwards, and is a wire to the node: frames can be sent and heard there. 203.0.113.0/24 and 2001:db8:66::/64
// are hosts that exist as such frames only.
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { GATEWAY_MAC } from '../../src/agent/wiring.js';
import type { AgentStatus } from '../../src/api/protocol.js';
import { openPinnedMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import {
  FLOW_FLAGS,
  type Flow,
  type FlowKey,
  MAPPING_SIDE,
  type Mapping,
  type MappingKey,
  type Maps,
} from '../../src/datapath/types.gen.js';
import { runWalk } from '../../src/datapath/walk.js';
import { run, start, until } from '../../src/testbed/command.js';
import { PROBE } from '../../src/testbed/files.js';
import { AgentNode } from './agent-node.js';
import { Frames, type Heard } from './frames.js';
import { type NetworkSpec, network, nodeObject } from './node-manifests.js';
import { NODE, OUTSIDE } from './node-world.js';
import { eth, type Packet } from './packet.js';
import { type At, Sockets } from './sockets.js';

export const FAMILIES = [
  { name: 'IPv4', family: 4 },
  { name: 'IPv6', family: 6 },
] as const;
export type Family = (typeof FAMILIES)[number]['family'];
export type HostName = 's1' | 's2' | 'third';

const HOSTS: readonly HostName[] = ['s1', 's2', 'third'];
const PORTS = [8080, 8081] as const;
/** Programs are verified anew, which takes a second on a machine that does nothing else. */
const RELOAD_MS = 50_000;
/** Hosts that exist as frames only. */
const CRAFTED = { 4: '203.0.113.66', 6: '2001:db8:66::66' } as const;
/** Likewise; the stacks of pods have no route to it, so that a pod's side of a connection can be made of frames, too. */
const SILENT = { 4: '203.0.113.67', 6: '2001:db8:66::67' } as const;

interface LoadedProgram {
  readonly id: number;
  readonly name?: string;
  readonly map_ids?: readonly number[];
}

export interface RfcWorldOptions {
  readonly spec?: NetworkSpec;
  readonly pods?: readonly string[];
  readonly flags?: Readonly<Record<string, string>>;
}

/** Of one place that has both families. */
export type Addresses = Readonly<Record<Family, string>>;

export class RfcWorld implements AsyncDisposable {
  readonly node: AgentNode;
  readonly pods = new Map<string, Addresses>();
  /** The wire between the node and the router. */
  #wire: Frames | undefined;
  readonly #closers: Disposable[] = [];
  readonly #sockets = new Map<string, Promise<Sockets>>();
  readonly #frames = new Map<string, Promise<Frames>>();
  #macs: Readonly<Record<'node' | 'outside', string>> = { node: '', outside: '' };
  #spec = '';

  private constructor(node: AgentNode) {
    this.node = node;
  }

  static async open({ spec = {}, pods = ['a', 'b', 'c'], flags = {} }: RfcWorldOptions = {}): Promise<RfcWorld> {
    const world = new RfcWorld(await AgentNode.open());
    try {
      await world.#build();
      await world.#startAgent(spec, flags);
      for (const pod of pods) await world.addPod(pod);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const opened of this.#closers) opened[Symbol.dispose]();
    await this.node[Symbol.asyncDispose]();
  }

  /** What the node is called: everything of it is removed by this name. */
  get nodeName(): string {
    return this.node.netns('n1');
  }

  get wire(): Frames {
    if (this.#wire === undefined) throw new Error('the world is not built');
    return this.#wire;
  }

  async addPod(name: string): Promise<Addresses> {
    const { ipv4, ipv6 } = await this.node.addPod(name);
    const addresses = { 4: ipv4, 6: ipv6 };
    this.pods.set(name, addresses);
    return addresses;
  }

  pod(name: string, family: Family): string {
    return this.pods.get(name)?.[family] ?? '';
  }

  /** What remotes see of the island. */
  nodeAddress(family: Family): string {
    return family === 4 ? NODE.ipv4 : NODE.ipv6;
  }

  /** The router's own address on the wire. */
  routerAddress(family: Family): string {
    return family === 4 ? OUTSIDE.ipv4 : OUTSIDE.ipv6;
  }

  /** A server's place: of its two addresses and of its two ports. */
  server(host: HostName, family: Family, { address = 0, port = 0 }: { address?: 0 | 1; port?: 0 | 1 } = {}): At {
    return { address: hostAddress(host, family, address), port: PORTS[port] };
  }

  /** A remote that only frames speak for. */
  crafted(family: Family): string {
    return CRAFTED[family];
  }

  /** One that a pod's own stack cannot answer, after `silence`. */
  silent(family: Family): string {
    return SILENT[family];
  }

  /** Keeps a pod's stack from answering what comes from the silent remote. */
  async silence(pod: string): Promise<void> {
    for (const { family } of FAMILIES) await this.node.ip(pod, `-${family} route add blackhole ${SILENT[family]}`);
  }

  /** Sockets in a namespace; opened once. */
  sockets(name: string): Promise<Sockets> {
    const known = this.#sockets.get(name) ?? this.#keep(Sockets.open(this.node.netns(name)));
    this.#sockets.set(name, known);
    return known;
  }

  /** A pod's device as a wire. */
  frames(name: string): Promise<Frames> {
    const known = this.#frames.get(name) ?? this.#keep(Frames.open(this.node.netns(name)));
    this.#frames.set(name, known);
    return known;
  }

  /** A frame from the router to the node. */
  fromOutside(): Packet {
    return eth({ source: this.#macs.outside, destination: this.#macs.node });
  }

  /** A frame that a pod sends. */
  fromPod(name: string): Packet {
    const mac = this.endpoint(name).mac;
    return eth({ source: mac, destination: GATEWAY_MAC });
  }

  /** What the datapath knows of a pod. */
  endpoint(name: string, family: Family = 4): Maps['endpoints']['value'] {
    const address = this.pod(name, family);
    const found = this.node.entries<string, Maps['endpoints']['value']>('endpoints').find(([key]) => key === address);
    if (found === undefined) throw new Error(`no endpoint ${address}`);
    return found[1];
  }

  /** Another ClusterNetwork; resolves when it is in force. Pods, flows and mappings stay. */
  async configure(spec: NetworkSpec): Promise<void> {
    if (JSON.stringify(spec) === this.#spec) return;
    const loads = () => this.node.log().filter(({ msg }) => msg === 'programs loaded').length;
    const before = loads();
    let refusal: string | undefined;
    this.#spec = JSON.stringify(spec);
    this.node.writeNetwork(spec);
    const settled = async (): Promise<boolean> => {
      refusal = (await this.node.status())?.state.problems[0]?.reason;
      return refusal !== undefined || loads() > before;
    };
    if (!(await until(settled, RELOAD_MS)) || refusal !== undefined) {
      throw new Error(`not in force: ${refusal ?? ''}\n${this.node.tail()}`);
    }
  }

  flows(): (readonly [FlowKey, Flow])[] {
    return this.node.entries<FlowKey, Flow>('flows');
  }

  mappings(): (readonly [MappingKey, Mapping])[] {
    return this.node.entries<MappingKey, Mapping>('mappings');
  }

  /** Changes the flow entries that match, as time or other packets would. Returns how many there were. */
  editFlows(matches: (key: FlowKey, flow: Flow) => boolean, change: (flow: Flow) => Partial<Flow>): number {
    return this.#edit<FlowKey, Flow>('flows', matches, change);
  }

  /** Lets so many seconds pass for the flows of an outside place, and for its mapping. */
  age(seconds: number, at: At): void {
    const count = this.editFlows(ofPlace(at), ({ seen }) => ({ seen: (seen - seconds) >>> 0 }));
    if (count === 0) throw new Error(`no flow of ${at.address} port ${at.port} to let time pass for`);
    this.#edit<MappingKey, Mapping>('mappings', ofMapping(at), ({ expires }) => ({
      expires: (expires - seconds) >>> 0,
    }));
  }

  /** Removal of what is dead, now; what the kernel's timer does every five seconds. */
  async sweep(): Promise<void> {
    const { bpffs } = this.node;
    const flows = JSON.parse(await run(['bpftool', '-j', 'map', 'show', 'pinned', join(bpffs, 'flows')])) as {
      id: number;
    };
    const programs = JSON.parse(await run(['bpftool', '-j', 'prog', 'show'])) as LoadedProgram[];
    const found = programs.findLast(({ name, map_ids = [] }) => name === 'sweep_flows' && map_ids.includes(flows.id));
    if (found === undefined) throw new Error('the program sweep_flows is not loaded');
    const pin = join(bpffs, 'sweep_flows');
    await run(['bpftool', 'prog', 'pin', 'id', String(found.id), pin]);
    const program = loadNative().openPinnedProgram(pin);
    try {
      await runWalk(program);
    } finally {
      program.close();
      unlinkSync(pin);
    }
  }

  status(): Promise<AgentStatus> {
    return this.node.waitFor(() => true);
  }

  #edit<K, V>(name: string, matches: (key: K, value: V) => boolean, change: (value: V) => Partial<V>): number {
    using map = openPinnedMap<K, V>(loadNative(), join(this.node.bpffs, name));
    const found = [...map.scan()].filter(([key, value]) => matches(key, value));
    for (const [key, value] of found) map.set(key, { ...value, ...change(value) });
    return found.length;
  }

  #keep<T extends Disposable>(opening: Promise<T>): Promise<T> {
    opening.then((opened) => this.#closers.push(opened)).catch(() => undefined);
    return opening;
  }

  async #build(): Promise<void> {
    const { node } = this;
    await node.exec('outside', ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    await node.addHosts(...HOSTS);
    for (const host of HOSTS) await this.#connect(host);
    await node.ip('outside', `route add blackhole 203.0.113.0/24`);
    await node.ip('outside', `-6 route add blackhole 2001:db8:66::/64`);
    for (const host of HOSTS) await this.#serve(host);
    for (const name of ['node', 'outside'] as const) this.#macs = { ...this.#macs, [name]: await this.#macOf(name) };
    this.#wire = await this.#keep(Frames.open(node.netns('outside')));
  }

  async #connect(host: HostName): Promise<void> {
    const { node } = this;
    const number = HOSTS.indexOf(host) + 1;
    const [outside, inside] = [node.netns('outside'), node.netns(host)];
    const pair = `link add ${host} netns ${outside} type veth peer name eth0 netns ${inside}`;
    await run(['ip', '-batch', '-'], { input: `${pair}\n` });
    const commands = [
      ['outside', `addr add 198.18.${number}.1/24 dev ${host}`],
      ['outside', `addr add 2001:db8:18:${number}::1/64 dev ${host} nodad`],
      ['outside', `link set ${host} up`],
      [host, 'link set lo up'],
      [host, 'link set eth0 up'],
      ...[0, 1].flatMap((index) => [
        [host, `addr add ${hostAddress(host, 4, index)}/24 dev eth0`],
        // Its own packets leave with the first one.
        [host, `addr add ${hostAddress(host, 6, index)}/64 dev eth0 nodad${index === 0 ? '' : ' preferred_lft 0'}`],
      ]),
      [host, `route add default via 198.18.${number}.1`],
      [host, `-6 route add default via 2001:db8:18:${number}::1`],
    ];
    for (const [name = '', line = ''] of commands) await node.ip(name, line);
  }

  async #serve(host: HostName): Promise<void> {
    const { node } = this;
    for (const port of PORTS) {
      start([PROBE, 'serve', '--port', String(port)], {
        netns: node.netns(host),
        cgroup: node.cgroupOf(host),
        log: join(node.directory, 'servers.log'),
      });
      const ready = () => node.probe(host, 'tcp', '127.0.0.1', String(port), 'who', '--timeout', '500');
      if (!(await until(async () => (await ready()).ok, 5000))) throw new Error(`no server in ${host}`);
    }
  }

  async #macOf(name: string): Promise<string> {
    const [link] = JSON.parse(await this.node.ip(name, '-j link show eth0')) as { address: string }[];
    return link?.address ?? '';
  }

  async #startAgent(spec: NetworkSpec, flags: Readonly<Record<string, string>>): Promise<void> {
    const { node, nodeName } = this;
    this.#spec = JSON.stringify(spec);
    node.write('network.yaml', network(spec));
    node.write('node.yaml', nodeObject(nodeName, [NODE.ipv4, NODE.ipv6], ['10.244.1.0/24', 'fd00:244:1::/64']));
    await node.startAgent({ node: nodeName, fragments: 'auto', ...flags });
  }
}

function hostAddress(host: HostName, family: Family, index: number): string {
  const number = HOSTS.indexOf(host) + 1;
  return family === 4 ? `198.18.${number}.${11 + index}` : `2001:db8:18:${number}::${11 + index}`;
}

/** A UDP datagram or TCP segment between two places. */
export function between(from: At, to: At, protocol: 'udp' | 'tcp' = 'udp'): (heard: Heard) => boolean {
  return ({ network: { source, destination }, transport }) =>
    transport?.name === protocol &&
    source === from.address &&
    destination === to.address &&
    transport.source === from.port &&
    transport.destination === to.port;
}

/** An ICMP message of a type and code, to an address. */
export function icmpTo(address: string, type: number, code?: number): (heard: Heard) => boolean {
  return ({ network, transport }) =>
    transport?.name === 'icmp' &&
    network.destination === address &&
    transport.source === type &&
    (code === undefined || transport.destination === code);
}

/** The flow entries of both directions that have an outside place. */
export function ofPlace({ address, port }: At): (key: FlowKey, flow: Flow) => boolean {
  return (key, flow) =>
    flow.flags & FLOW_FLAGS.FLOW_REPLY
      ? key.destination === address && key.destination_port === port
      : flow.source === address && flow.source_port === port;
}

/** All entries of the mapping of an outside place. */
export function ofMapping({ address, port }: At): (key: MappingKey, mapping: Mapping) => boolean {
  return (key, mapping) =>
    key.side === MAPPING_SIDE.MAPPING_INSIDE
      ? mapping.address === address && mapping.port === port
      : key.address === address && key.port === port;
}

/** Seconds of the clock that flows are stamped with. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n);
}
