// One of two worlds in which the same things are done by real sockets, to be compared in what they see and what is on the wire.
//
//   pod a --- node --- outside (a router, MTU 1300 from here) --- far (the server, two addresses)
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandResult, start, until } from '../../src/testbed/command.js';
import { GATEWAY as MASQUERADE_GATEWAY } from './masquerade-node.js';
import { NODE, type NodeWorld, OUTSIDE } from './node-world.js';
import { type Network, parseFrame, parseIp, parseTransport } from './packet-text.js';

export type Family = 'ipv4' | 'ipv6';

/** Two addresses of one server. */
export const FAR = {
  ipv4: ['203.0.113.9', '203.0.113.10'],
  ipv6: ['2001:db8:77::9', '2001:db8:77::10'],
} as const;
const ROUTER = { ipv4: '203.0.113.1', ipv6: '2001:db8:77::1' };
const SCRIPT = join(import.meta.dirname, 'twin.py');
const SERVER_PORTS = [7000, 7001, 7002, 7003, 7009];
const MTU = 1300;

export type Outcome = Readonly<Record<string, unknown>>;

export interface Twin {
  /** Does one thing from the pod; what the sockets saw, and what was on the wire. */
  ask(scenario: string, family: Family): Promise<Outcome>;
}

/** Puts the router's far side and the server behind a world whose pod `a` is there already. */
export async function openTwin(world: NodeWorld): Promise<Twin> {
  await world.addHosts('far');
  await world.lines('outside', [
    `link add eth1 type veth peer name eth0 netns ${world.netns('far')}`,
    `addr add ${ROUTER.ipv4}/24 dev eth1`,
    `addr add ${ROUTER.ipv6}/64 dev eth1 nodad`,
    'link set eth1 up',
    // By the route: what comes back may be larger.
    ...[...FAR.ipv4, ...FAR.ipv6].map((address) => `route add ${address} dev eth1 mtu lock ${MTU}`),
    ...['203.0.113.66', '2001:db8:77::66'].map((address) => `route add unreachable ${address}`),
    ...['203.0.113.67', '2001:db8:77::67'].map((address) => `route add prohibit ${address}`),
  ]);
  await world.lines('far', [
    'link set lo up',
    ...FAR.ipv4.map((address) => `addr add ${address}/24 dev eth0`),
    ...FAR.ipv6.map((address) => `addr add ${address}/64 dev eth0 nodad`),
    'link set eth0 up',
    `route add default via ${ROUTER.ipv4}`,
    `route add default via ${ROUTER.ipv6}`,
  ]);
  for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
    await world.exec('outside', ['sh', '-c', `echo 1 >/proc/sys/net/${path}`]);
  // Errors as often as they are asked for.
  for (const path of ['ipv4/icmp_ratemask', 'ipv6/icmp/ratelimit'])
    for (const where of ['outside', 'far', 'node', 'a'])
      await world.exec(where, ['sh', '-c', `echo 0 >/proc/sys/net/${path}`]);
  // Checksums in software: what is captured is what is on the wire.
  for (const [where, device] of [
    ['a', 'eth0'],
    ['far', 'eth0'],
    ['outside', 'eth0'],
    ['outside', 'eth1'],
  ] as const)
    await succeed(world.exec(where, ['python3', SCRIPT, 'quiet', device]));
  for (const addresses of Object.values(FAR)) await startServer(world, addresses);
  return new RunningTwin(world, await startCapture(world));
}

async function succeed(result: Promise<CommandResult>): Promise<CommandResult> {
  const { status, stdout, stderr } = await result;
  if (status !== 0) throw new Error(`status ${status}: ${stdout}${stderr}`);
  return { status, stdout, stderr };
}

async function startServer(world: NodeWorld, addresses: readonly string[]): Promise<void> {
  const log = join(world.directory, `twin-${addresses[0]}.log`);
  const argv = ['sh', '-c', 'sleep 1000 | exec "$@"', 'sh', 'python3', SCRIPT, 'serve', ...addresses];
  start(argv, { netns: world.netns('far'), cgroup: world.cgroupOf('far'), log });
  if (!(await until(() => readFileSync(log, 'utf8').includes('ready'), 8000)))
    throw new Error(`no server: ${readFileSync(log, 'utf8')}`);
}

async function startCapture(world: NodeWorld): Promise<string> {
  const file = join(world.directory, 'wire.pcap');
  const log = join(world.directory, 'tcpdump.log');
  const argv = ['tcpdump', '-i', 'eth0', '-U', '--immediate-mode', '-B', '8192', '-w', file, '-Z', 'root', 'ip or ip6'];
  start(argv, { netns: world.netns('outside'), cgroup: world.cgroupOf('outside'), log });
  const listens = (): boolean => readFileSync(log, 'utf8').includes('listening');
  if (!(await until(listens, 8000))) throw new Error(`tcpdump: ${readFileSync(log, 'utf8')}`);
  return file;
}

class RunningTwin implements Twin {
  readonly #world: NodeWorld;
  readonly #file: string;
  #read = 24;

  constructor(world: NodeWorld, file: string) {
    this.#world = world;
    this.#file = file;
  }

  async ask(scenario: string, family: Family): Promise<Outcome> {
    const [server, other] = FAR[family];
    const seen = scenario.startsWith('ping')
      ? await this.#ping(scenario, server)
      : await this.#sockets(scenario, server, other);
    // The last packets of a connection may still be on their way.
    await new Promise((resolve) => setTimeout(resolve, 150));
    return { ...seen, ...wireOf(this.#newFrames()) };
  }

  async #sockets(scenario: string, server: string, other: string): Promise<Outcome> {
    const { stdout } = await succeed(this.#world.exec('a', ['python3', SCRIPT, 'ask', scenario, server, other]));
    return JSON.parse(stdout) as Outcome;
  }

  async #ping(scenario: string, server: string): Promise<Outcome> {
    const extra: Readonly<Record<string, string[]>> = {
      ping: ['-s', '101'],
      'ping large': ['-s', '3000'],
      'ping expired': ['-t', '2'],
    };
    const argv = ['ping', '-n', '-c', '2', '-i', '0.2', '-W', '1', ...(extra[scenario] ?? []), server];
    const { stdout, status } = await this.#world.exec('a', argv);
    const said = [...stdout.matchAll(/^From (\S+) icmp_seq=\d+ (.*)$/gm)].map(([, who, what]) => `${who} ${what}`);
    return { status, received: /(\d+) received/.exec(stdout)?.[1], said: [...new Set(said)] };
  }

  /** What was captured since the last call. */
  #newFrames(): Buffer[] {
    const bytes = readFileSync(this.#file);
    const frames: Buffer[] = [];
    while (this.#read + 16 <= bytes.length) {
      const length = bytes.readUInt32LE(this.#read + 8);
      if (this.#read + 16 + length > bytes.length) break;
      frames.push(bytes.subarray(this.#read + 16, this.#read + 16 + length));
      this.#read += 16 + length;
    }
    return frames;
  }
}

/** Packets without what chance decides (ports of clients, identifications, numbers of TCP), and checksums that are wrong. */
function wireOf(frames: readonly Buffer[]): { readonly wire: string[]; readonly wrong: string[] } {
  const wire: string[] = [];
  const wrong: string[] = [];
  for (const frame of frames) {
    const network = parseFrame(frame);
    if (network === undefined || isNeighbourly(network)) continue;
    const text = lineOf(network, frame.subarray(14));
    // How a stream is cut into segments is up to its ends: one line for all of a kind.
    if (network.protocol !== 6 || !wire.includes(text)) wire.push(text);
    if (isWrong(network, frame.subarray(14))) wrong.push(`${text} ${frame.toString('hex')}`);
  }
  return {
    wire: [...wire.filter((line) => !line.includes(' tcp ')), ...wire.filter((line) => line.includes(' tcp ')).sort()],
    wrong,
  };
}

function isWrong(network: Network, bytes: Buffer): boolean {
  return network.checksum === 'wrong' || parseTransport(network, bytes)?.checksum === 'wrong';
}

/** Neighbour discovery, multicast listeners. */
function isNeighbourly({ family, protocol, destination, source, body, ttl }: Network): boolean {
  if (destination.startsWith('ff') || source.startsWith('fe80')) return true;
  return family === 'ipv6' && protocol === 58 && ttl === 255 && body.readUInt8(0) >= 133;
}

function lineOf(network: Network, bytes: Buffer): string {
  const { source, destination, ttl, protocol, length, fragment, options } = network;
  const place = fragment.replace(/^id \d+/, '').trim();
  const head = `${source} > ${destination} ttl ${ttl} ${place}${options === 0 ? '' : ` options ${options}`}`;
  const transport = parseTransport(network, bytes);
  if (transport === undefined) return `${head} protocol ${protocol} length ${length} part`;
  if (transport.name === 'tcp')
    return `${head} tcp ${portText(transport.source)} > ${portText(transport.destination)}${synText(network)}`;
  if (transport.name === 'icmp') return `${head} length ${length} ${icmpText(network)}`;
  const ports = `${portText(transport.source)} > ${portText(transport.destination)}`;
  const sum = transport.checksum === 'absent' ? 'unsummed ' : '';
  return `${head} length ${length} udp ${ports} ${sum}${payloadText(transport.payload)}`;
}

function portText(port: number): string {
  return SERVER_PORTS.includes(port) ? String(port) : 'client';
}

/** The options of a SYN, without the values of its timestamps. */
function synText({ body }: Network): string {
  if (!(body.readUInt8(13) & 2)) return '';
  const options = Buffer.from(body.subarray(20, (body.readUInt8(12) >> 4) * 4));
  const at = options.indexOf('080a', 0, 'hex');
  if (at >= 0) options.fill(0, at + 2, at + 10);
  return ` ${body.readUInt8(13) & 16 ? 'SYN ACK' : 'SYN'} ${options.toString('hex')}`;
}

function icmpText({ family, body }: Network): string {
  const [type, code] = [body.readUInt8(0), body.readUInt8(1)];
  const isEcho = family === 'ipv4' ? type === 8 || type === 0 : type >= 128;
  if (isEcho) return `icmp ${type}/${code} sequence ${body.readUInt16BE(6)}`;
  const quoted = parseIp(body.subarray(8));
  const inner = quoted === undefined ? 'nothing' : quotedText(quoted, body.subarray(8));
  return `icmp ${type}/${code} ${body.readUInt32BE(4)} about [${inner}]`;
}

function quotedText(quoted: Network, bytes: Buffer): string {
  const { source, destination, ttl, protocol, length, checksum } = quoted;
  const ports = quoted.body.length >= 4 && protocol !== 1 && protocol !== 58;
  const text = ports ? ` ${portText(quoted.body.readUInt16BE(0))} > ${portText(quoted.body.readUInt16BE(2))}` : '';
  const sum = parseTransport(quoted, bytes)?.checksum ?? 'unread';
  return `${source} > ${destination} ttl ${ttl} protocol ${protocol} length ${length}${text} header ${checksum} ${sum}`;
}

/** What tells a client its port differs as that does. */
function payloadText(bytes: Buffer): string {
  if (bytes.toString('latin1').startsWith('you are')) return 'you are';
  return createHash('sha256').update(bytes).digest('hex').slice(0, 8);
}

/** Names for addresses, the longest first. */
const NAMES = [
  [NODE, 'node'],
  [OUTSIDE, 'router'],
  [{ ipv4: FAR.ipv4[1], ipv6: FAR.ipv6[1] }, 'other'],
  [{ ipv4: FAR.ipv4[0], ipv6: FAR.ipv6[0] }, 'server'],
  [MASQUERADE_GATEWAY, 'gateway'],
] as const;

/** A text with names instead of the addresses of a family. */
export function named(text: string, family: Family): string {
  const pairs = NAMES.map(([addresses, name]) => [addresses[family], name] as const);
  return pairs
    .sort(([one], [other]) => other.length - one.length)
    .reduce((result, [address, name]) => result.replaceAll(address, name), text);
}
