// A pod that forges whatever it can say, and floods, hurts nobody but itself: its frames on a real veth, real stacks around it.
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GATEWAY_MAC } from '../../src/agent/wiring.js';
import { GATEWAYS } from '../../src/datapath/config.js';
import { DROP_REASON, type DropCounter, type DropKey } from '../../src/datapath/types.gen.js';
import { Frames, type Heard } from '../support/frames.js';
import { about, arp } from '../support/neighbour.js';
import { eth } from '../support/packet.js';
import { ETHERTYPE, macBytes } from '../support/packet-layer.js';
import { type Family, NODE, OUT, openSmallNode, type SmallNode } from '../support/small-node.js';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const PORT = 7000;
const ALL_NODES = 'ff02::1';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const [GATEWAY4 = '', GATEWAY6 = ''] = GATEWAYS;
/** What is said to an address of the link only. */
const LINK_ONLY = 255;
const FLOOD = 20_000;

let node: SmallNode;
let pods: Readonly<Record<'evil' | 'a' | 'b', Readonly<Record<Family, string>>>>;
let mac: string;
let evil: Frames;
let wires: Readonly<Record<'a' | 'b' | 'out', Frames>>;

beforeAll(async () => {
  node = await openSmallNode('evil', 'a', 'b');
  await node.startAgent('--flow-entries', '65536');
  pods = { evil: node.addPod('evil'), a: node.addPod('a'), b: node.addPod('b') };
  for (const short of ['a', 'b', 'out', 'node']) await node.start(short, 'serve', '--port', String(PORT));
  mac = node.namespaces.run('evil', ['cat', '/sys/class/net/eth0/address']).trim();
  const wire = (short: string): Promise<Frames> => Frames.open(node.namespaces.name(short));
  evil = await wire('evil');
  wires = { a: await wire('a'), b: await wire('b'), out: await wire('out') };
});
afterAll(async () => {
  for (const frames of [evil, ...Object.values(wires ?? {})]) frames?.[Symbol.dispose]();
  await node?.[Symbol.asyncDispose]();
});
beforeEach(() => {
  for (const frames of Object.values(wires)) frames.clear();
});

async function dropped(...reasons: readonly (keyof typeof DROP_REASON)[]): Promise<number> {
  const wanted: readonly number[] = reasons.map((reason) => DROP_REASON[reason]);
  const entries = await node.map<DropKey, readonly DropCounter[]>('drops');
  const counters = entries.filter(([{ reason }]) => wanted.includes(reason)).flatMap(([, values]) => values);
  return counters.reduce((sum, { packets }) => sum + Number(packets), 0);
}

/** What a host believes about its ways, and what it was told in vain: who it takes the hostile pod for. */
function beliefs(short: string): string[] {
  const routes = node.namespaces.run(short, ['sh', '-c', 'ip -4 route; ip -6 route']);
  const neighbours = node.namespaces.run(short, ['ip', 'neigh', 'show']).split('\n');
  const evilOnes = neighbours.filter((line) => line.includes(mac)).map((line) => line.split(' ')[0] ?? '');
  const lasting = neighbours.filter((line) => line.includes('PERMANENT'));
  return [routes.replace(/ (expires|used|hoplimit) \S+/g, ''), ...lasting.sort(), ...evilOnes.sort()];
}

/** Its own neighbours go on talking: to each other, to the node and to the outside. */
async function expectUnharmed(): Promise<void> {
  for (const family of FAMILIES) {
    for (const address of [pods.b[family], NODE[family], OUT[family]]) {
      const report = await node.probe('a', 'tcp', address, String(PORT), 'who', '--timeout', '3000');
      expect(report, `a to ${address}`).toMatchObject({ ok: true });
    }
    const back = await node.probe('node', 'tcp', pods.a[family], String(PORT), 'who', '--timeout', '3000');
    expect(back, `the node to a by ${family}`).toMatchObject({ ok: true });
  }
}

test('forged ARP is heard by nobody: others keep their addresses, and the gateway is the gateway', async () => {
  const before = [beliefs('node'), beliefs('a')];
  const drops = await dropped('DROP_NEIGHBOUR_UNKNOWN');
  const frame = (destination: string) => eth({ source: mac, destination, type: ETHERTYPE.arp });
  const claims = [pods.a.ipv4, pods.b.ipv4, NODE.ipv4, GATEWAY4].flatMap((address) => [
    // Gratuitous, as an announcement and as an answer; and told to the gateway itself.
    arp(frame(BROADCAST), { operation: 1, sender: [mac, address], target: [BROADCAST, address] }),
    arp(frame(BROADCAST), { operation: 2, sender: [mac, address], target: [BROADCAST, address] }),
    arp(frame(GATEWAY_MAC), { operation: 2, sender: [mac, address], target: [GATEWAY_MAC, GATEWAY4] }),
    arp(frame(BROADCAST), { operation: 1, sender: [mac, pods.evil.ipv4], target: [BROADCAST, pods.a.ipv4] }),
  ]);
  evil.send(...claims);
  // Questions end here, but for the gateway's own address. Answers go to the node's stack, which has asked nothing.
  const questions = claims.length / 2 - 1;
  await expect.poll(() => dropped('DROP_NEIGHBOUR_UNKNOWN')).toBeGreaterThanOrEqual(drops + questions);
  for (const wire of Object.values(wires))
    expect(await wire.during(({ bytes }) => bytes.includes(macBytes(mac)))).toEqual([]);
  await expectUnharmed();
  expect([beliefs('node'), beliefs('a')]).toEqual(before);
});

test('forged neighbour advertisements, router advertisements and redirects count for nobody', async () => {
  const before = [beliefs('node'), beliefs('a')];
  const drops = await dropped('DROP_NEIGHBOUR_UNKNOWN', 'DROP_SPOOFED', 'DROP_NOT_ROUTABLE');
  const says = (source: string, destination: string, type: number, rest: number, body: Buffer) =>
    eth({ source: mac, destination: destination === ALL_NODES ? '33:33:00:00:00:01' : GATEWAY_MAC })
      .ipv6({ source, destination, hopLimit: LINK_ONLY })
      .icmp6({ type, rest })
      .payload(body);
  const override = 0x20000000;
  // Hop limit 64, a router for 1800 seconds; without timers, with its own link-layer address.
  const router = Buffer.concat([Buffer.alloc(8), Buffer.from([1, 1]), macBytes(mac)]);
  const lies = [GATEWAY6, 'fe80::666', pods.evil.ipv6].flatMap((source) => [
    ...[pods.a.ipv6, pods.b.ipv6, NODE.ipv6, GATEWAY6].flatMap((target) =>
      [ALL_NODES, pods.a.ipv6, NODE.ipv6].map((to) => says(source, to, 136, override, about(target, 2, mac))),
    ),
    says(source, ALL_NODES, 134, 0x40000708, router),
    says(source, pods.a.ipv6, 134, 0x40000708, router),
    says(source, pods.a.ipv6, 137, 0, Buffer.concat([about(OUT.ipv6, 2, mac), about(OUT.ipv6, 2, mac)])),
  ]);
  evil.send(...lies);
  // Advertisements of neighbours go to the node's stack, which has solicited none.
  const ended = lies.length / 5;
  await expect
    .poll(() => dropped('DROP_NEIGHBOUR_UNKNOWN', 'DROP_SPOOFED', 'DROP_NOT_ROUTABLE'))
    .toBeGreaterThanOrEqual(drops + ended);
  // What names another pod's own address is forwarded, one hop less: only a hop limit of 255 counts (RFC 4861 section 7.1).
  const counts = (one: Heard): boolean =>
    one.network.family === 'ipv6' && one.network.ttl === LINK_ONLY && (one.transport?.source ?? 0) >= 133;
  for (const wire of Object.values(wires)) {
    const heard = await wire.during(counts);
    expect(heard.filter(({ bytes }) => bytes.includes(macBytes(mac))).map(({ transport }) => transport?.text)).toEqual(
      [],
    );
  }
  await expectUnharmed();
  expect([beliefs('node'), beliefs('a')]).toEqual(before);
});

describe.each(FAMILIES)('forged sources of %s', (family) => {
  test('lead nowhere, whatever the frame says besides', async () => {
    const victims = [pods.a[family], NODE[family], OUT[family], family === 'ipv4' ? '127.0.0.1' : '::1'];
    const spoofed = await dropped('DROP_SPOOFED');
    const frames = victims.flatMap((source) =>
      [pods.a[family], pods.b[family], NODE[family], OUT[family]].flatMap((destination) =>
        [mac, '02:00:00:00:06:66'].flatMap((from) => {
          const packet = () => eth({ source: from, destination: GATEWAY_MAC }).ip({ source, destination });
          return [
            packet().udp({ source: PORT, destination: PORT }),
            packet().tcp({ source: PORT, destination: PORT, flags: 'S' }),
            packet().echo({ id: 666 }),
          ];
        }),
      ),
    );
    evil.send(...frames);
    await expect.poll(() => dropped('DROP_SPOOFED')).toBe(spoofed + frames.length);
    for (const wire of Object.values(wires)) {
      expect(
        await wire.during(({ network, transport }) => victims.includes(network.source) && transport?.source === PORT),
      ).toEqual([]);
    }
    await expectUnharmed();
  });
});

test('a flood takes nothing from others: what they send arrives, and new connections come about', async () => {
  const stream = (address: string) =>
    node.probe('a', 'udp', address, String(PORT), 'stream', '--rate', '100', '--seconds', '3', '--timeout', '5000');
  const streams = Promise.all([pods.b.ipv4, pods.b.ipv6, OUT.ipv4, OUT.ipv6].map(stream));
  const toGateway = () => eth({ source: mac, destination: GATEWAY_MAC });
  // New flows, as many as its ports give; answers to nothing; and questions for the gateway.
  for (let round = 0; round < FLOOD / 4; round++) {
    const [source, destination] = [1024 + (round % 60_000), 1 + ((round * 7919) % 65_000)];
    evil.send(
      toGateway().ip({ source: pods.evil.ipv4, destination: OUT.ipv4 }).udp({ source, destination }),
      toGateway().ip({ source: pods.evil.ipv6, destination: OUT.ipv6 }).tcp({ source, destination, flags: 'S' }),
      toGateway().ip({ source: pods.evil.ipv4, destination: pods.b.ipv4 }).tcp({ source, destination, flags: 'SA' }),
      arp(eth({ source: mac, destination: BROADCAST, type: ETHERTYPE.arp }), {
        operation: 1,
        sender: [mac, pods.evil.ipv4],
        target: [BROADCAST, GATEWAY4],
      }),
    );
  }
  const during = await node.probe('a', 'tcp', OUT.ipv4, String(PORT), 'who', '--timeout', '5000');
  expect(during).toMatchObject({ ok: true });
  for (const report of await streams) expect(report).toMatchObject({ ok: true, lost: 0 });
  await expectUnharmed();
});
