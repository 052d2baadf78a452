// Datagrams in fragments, through a real agent and real stacks, in every order that a path can give them.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeDetour, openDetour } from '../../src/agent/detour.js';
import { detachPinned } from '../../src/bpf/link.js';
import { loadNative } from '../../src/bpf/native.js';
import { DROP_REASON, type DropCounter, type DropKey, type FragmentCounter } from '../../src/datapath/types.gen.js';
import { detourNamespace } from '../../src/net/detour.js';
import { loadNativeNet } from '../../src/net/native.js';
import { listNamespaces, namespacePath, withNetlink } from '../../src/net/netns.js';
import {
  BACKEND_PORT,
  type Family,
  NODE,
  NODE_PORT,
  OUT,
  openSmallNode,
  REFUSED_PORT,
  type Report,
  SERVICE_PORT,
  type SmallNode,
  VIP,
} from '../support/small-node.js';

const OUT_PORT = 7000;
const HOST_PORT = 7100;
/** A second port outside, whose server answers in reversed order. */
const REVERSED_PORT = 7001;
const COUNT = 100;
const { DROP_SPOOFED, DROP_FRAGMENT_LIMIT } = DROP_REASON;
const FAMILIES = ['ipv4', 'ipv6'] as const;
const WHOLE = ['kept', 'swapped', 'reversed', 'shuffled', 'interleaved', 'duplicated'];
const NOTHING = ['overlapping', 'headless', 'incomplete'];

/** From where to what; every pair of directions that a fragment can take through the programs. */
const PATHS = [
  { path: 'pod to outside', from: 'b', address: OUT, port: OUT_PORT },
  { path: 'pod to outside, answered in reversed order', from: 'b', address: OUT, port: REVERSED_PORT },
  { path: 'outside to a VIP', from: 'out', address: VIP, port: SERVICE_PORT },
  { path: 'outside to a NodePort', from: 'out', address: NODE, port: NODE_PORT },
  { path: 'outside to the node itself', from: 'out', address: NODE, port: HOST_PORT },
  { path: 'pod to the node itself', from: 'b', address: NODE, port: HOST_PORT },
  { path: 'pod to a pod by its VIP', from: 'b', address: VIP, port: SERVICE_PORT },
];

let node: SmallNode;
let pods: Readonly<Record<'a' | 'b', Readonly<Record<Family, string>>>>;

beforeAll(async () => {
  node = await openSmallNode('a', 'b');
  await node.startAgent();
  pods = { a: node.addPod('a'), b: node.addPod('b') };
  await node.serve(pods.a);
  for (const family of FAMILIES) {
    await serve('out', { address: OUT[family], port: OUT_PORT, order: 'kept' });
    await serve('out', { address: OUT[family], port: REVERSED_PORT, order: 'reversed' });
    await serve('node', { address: NODE[family], port: HOST_PORT, order: 'kept' });
    // The pod answers in reversed order: the way back through a service is tested with every way in.
    await serve('a', { address: pods.a[family], port: BACKEND_PORT, order: 'reversed' });
  }
}, 60_000);

afterAll(() => node?.[Symbol.asyncDispose](), 30_000);

async function serve(short: string, at: { address: string; port: number; order: string }): Promise<void> {
  await node.start(short, 'reorder', '--bind', at.address, '--port', String(at.port), '--order', at.order);
}

interface Datagrams {
  readonly from: string;
  readonly address: string;
  readonly port: number;
  readonly order: string;
  readonly protocol?: 'udp' | 'icmp';
  readonly size?: number;
  readonly count?: number;
  readonly rate?: number;
  readonly bind?: string;
}

function send(datagrams: Datagrams): Promise<Report> {
  const { from, address, port, order, protocol = 'udp', size = 8000, count = COUNT, rate = 2000, bind } = datagrams;
  const numbers = { size, count, rate, order, timeout: 500, ...(bind === undefined ? {} : { bind }) };
  const flags = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return node.probe(from, 'fragments', protocol, address, String(port), ...flags);
}

async function counters(direction: 0 | 1): Promise<Record<keyof FragmentCounter, number>> {
  const entries = await node.map<number, FragmentCounter[]>('fragment_stats');
  const cpus = entries.find(([key]) => key === direction)?.[1] ?? [];
  const names = Object.keys(cpus[0] ?? {}) as (keyof FragmentCounter)[];
  const sums = names.map((name) => [name, cpus.reduce((sum, cpu) => sum + Number(cpu[name]), 0)]);
  return Object.fromEntries(sums) as Record<keyof FragmentCounter, number>;
}

async function dropped(reason: number): Promise<number> {
  const entries = await node.map<DropKey, DropCounter[]>('drops');
  return entries
    .filter(([key]) => key.reason === reason)
    .flatMap(([, cpus]) => cpus)
    .reduce((sum, { packets }) => sum + Number(packets), 0);
}

function attempt(work: () => string): string {
  try {
    return work();
  } catch (error) {
    return (error as Error).message;
  }
}

test('the agent says that there is a detour', async () => {
  const { state } = await node.status();
  expect(state.fragments).toMatchObject({ mode: 'detour' });
  expect(state.attachments.filter(({ program }) => program === 'from_detour')).toHaveLength(3);
});

describe.each(FAMILIES)('%s', (family) => {
  describe.each(PATHS)('$path', ({ from, address, port }) => {
    test.each(WHOLE)('%s: every datagram comes back as it was sent', async (order) => {
      const report = await send({ from, address: address[family], port, order });
      expect(report).toMatchObject({ sent: COUNT, received: COUNT, damaged: 0 });
    });

    test.each(NOTHING)('%s: nothing is delivered', async (order) => {
      const report = await send({ from, address: address[family], port, order, count: 30 });
      expect(report).toMatchObject({ sent: 30, received: 0, damaged: 0 });
    });
  });

  test.each(['kept', 'reversed', 'shuffled'])('ICMP echo, %s', async (order) => {
    const echo = { port: 77, order, protocol: 'icmp', rate: 1000 } as const;
    const outwards = await send({ from: 'b', address: OUT[family], ...echo });
    expect(outwards).toMatchObject({ sent: COUNT, received: COUNT, damaged: 0 });
    const inwards = await send({ from: 'out', address: NODE[family], ...echo });
    expect(inwards).toMatchObject({ sent: COUNT, received: COUNT, damaged: 0 });
  });

  test.each([8000, 60_000])('ping with %i bytes, out of a pod and to the node', (size) => {
    const ping = ['ping', '-n', '-c', '10', '-i', '0.02', '-W', '2', '-s', String(size)];
    expect(node.namespaces.run('b', [...ping, OUT[family]])).toMatch(/ 0% packet loss/);
    expect(node.namespaces.run('out', [...ping, NODE[family]])).toMatch(/ 0% packet loss/);
  });

  test('the largest datagrams, reversed', async () => {
    const report = await send({
      from: 'b',
      address: OUT[family],
      port: OUT_PORT,
      order: 'reversed',
      size: 65_000,
      count: 20,
      rate: 100,
    });
    expect(report).toMatchObject({ received: 20, damaged: 0 });
  });

  test('in order, nothing takes the detour', async () => {
    const before = [await counters(0), await counters(1)];
    await send({ from: 'b', address: OUT[family], port: OUT_PORT, order: 'kept' });
    const after = [await counters(0), await counters(1)];
    expect(after.map(({ detour }) => detour)).toEqual(before.map(({ detour }) => detour));
    expect((after[0]?.hit ?? 0) - (before[0]?.hit ?? 0)).toBe(COUNT * 5);
  });

  test.each(['kept', 'reversed'])('a refused datagram is answered once, to its sender: %s', async (order) => {
    for (const from of ['out', 'b']) {
      const report = await send({ from, address: VIP[family], port: REFUSED_PORT, order, count: 10, rate: 100 });
      expect(report).toMatchObject({ received: 0, refused: 10 });
    }
  });

  test("a pod's fragments with another's address do not reach the detour", async () => {
    const spoofed = await dropped(DROP_SPOOFED);
    const before = await counters(0);
    const bogus = { from: 'b', address: OUT[family], port: OUT_PORT, order: 'bogus', count: 50, bind: pods.a[family] };
    await send(bogus);
    expect((await dropped(DROP_SPOOFED)) - spoofed).toBe(50);
    expect((await counters(0)).detour).toBe(before.detour);
  });
});

/** Two and a half seconds of what must not suffer, while 100 000 bogus fragments a second arrive. */
async function underFlood(flood: Omit<Datagrams, 'order'>, victim: Omit<Datagrams, 'order'>) {
  const bogus = send({ ...flood, order: 'bogus', size: 2000, count: 350_000, rate: 100_000 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const stream = ['stream', '--rate', '1000', '--seconds', '2', '--size', '200'];
  const whole = node.probe(victim.from, 'udp', victim.address, String(victim.port), ...stream);
  const kept = await send({ ...victim, order: 'kept', count: 250, rate: 500 });
  const reversed = await send({ ...victim, order: 'reversed', count: 250, rate: 500 });
  return { kept, reversed, whole: await whole, bogus: await bogus };
}

describe.each(FAMILIES)('a flood of bogus later fragments, %s', (family) => {
  const stranger = { ipv4: '198.51.100.77', ipv6: '2001:db8:100::77' }[family];
  const service = { from: 'out', address: VIP[family], port: SERVICE_PORT };

  test.each([
    ['from another source to the service', { ...service, bind: stranger }, service],
    ['from another source to the node', { ...service, address: NODE[family], bind: stranger }, service],
    [
      'from another pod',
      { from: 'b', address: OUT[family], port: OUT_PORT },
      { from: 'a', address: OUT[family], port: OUT_PORT },
    ],
  ])(
    '%s touches nobody else',
    async (_, flood, victim) => {
      const limited = await dropped(DROP_FRAGMENT_LIMIT);
      const { kept, reversed, whole, bogus } = await underFlood(flood, victim);
      // The flood was one: on a busy machine it may take longer than it was meant to.
      expect(bogus.fragments).toBe(350_000);
      expect(await dropped(DROP_FRAGMENT_LIMIT)).toBeGreaterThan(limited + 300_000);
      expect(kept).toMatchObject({ received: 250, damaged: 0 });
      expect(reversed).toMatchObject({ received: 250, damaged: 0 });
      expect(whole).toMatchObject({ lost: 0 });
    },
    20_000,
  );

  test("with the victim's own address leaves its unfragmented and almost all its ordered traffic", async () => {
    const { kept, whole } = await underFlood({ ...service, bind: OUT[family] }, service);
    expect(kept.received).toBeGreaterThanOrEqual(225);
    expect(whole).toMatchObject({ lost: 0 });
  }, 20_000);
});

describe('the namespaces', () => {
  const names = () => (['pods', 'wire'] as const).map((direction) => detourNamespace(node.name, direction));
  const inside = (name: string, ...argv: string[]) =>
    node.namespaces.run('node', ['nsenter', `--net=${namespacePath(name)}`, ...argv]);
  const reversed = () => send({ from: 'b', address: OUT.ipv4, port: OUT_PORT, order: 'reversed', count: 50 });

  test('track no connection, and the node has no netfilter rule', () => {
    for (const name of names())
      expect(inside(name, 'cat', '/proc/sys/net/netfilter/nf_conntrack_count').trim()).toBe('0');
    expect(node.namespaces.run('node', ['cat', '/proc/sys/net/netfilter/nf_conntrack_count']).trim()).toBe('0');
    expect(node.namespaces.run('node', ['nft', 'list', 'ruleset'])).toBe('');
  });

  test('everything that came back came back in order', async () => {
    expect((await counters(0)).disordered).toBe(0);
    expect((await counters(1)).disordered).toBe(0);
  });

  test('work on when the agent is dead, and are taken over by the next one', async () => {
    const before = await node.status();
    await node.killAgent();
    expect(await reversed()).toMatchObject({ received: 50 });
    const devices = node.namespaces.run('node', ['ip', '-o', 'link']);
    await node.startAgent();
    expect((await node.status()).state.fragments).toEqual(before.state.fragments);
    expect(node.namespaces.run('node', ['ip', '-o', 'link'])).toBe(devices);
    expect(await reversed()).toMatchObject({ received: 50 });
  }, 40_000);

  test('are made anew when one is lost', async () => {
    await node.killAgent();
    node.namespaces.run('node', ['ip', 'link', 'del', 'ist-fr-pods']);
    await node.startAgent();
    expect((await node.status()).state.fragments).toMatchObject({ mode: 'detour' });
    expect(await reversed()).toMatchObject({ received: 50 });
  }, 40_000);

  test('join fragments also by nftables, where the kernel has no BPF link for it', async () => {
    const native = loadNative();
    for (const name of ['pods-ipv4', 'pods-ipv6', 'wire-ipv4', 'wire-ipv6']) {
      detachPinned(native, join(node.stateDir, 'bpf/detour', name));
    }
    expect((await reversed()).received).toBe(0);
    const old = {
      ...native,
      attachDefrag: () => {
        throw new Error('no such link here');
      },
    };
    const net = loadNativeNet();
    const state = withNetlink(net, node.namespaces.path('node'), (netlink) => {
      const options = { net, node: netlink, nodeName: node.name, bpffs: join(node.stateDir, 'bpf') };
      return openDetour({ ...options, native: old, wanted: 'auto' }).state;
    });
    expect(state).toEqual({ mode: 'detour', defrag: 'nft' });
    expect(await reversed()).toMatchObject({ received: 50 });
    for (const name of names())
      expect(inside(name, 'cat', '/proc/sys/net/netfilter/nf_conntrack_count').trim()).toBe('0');
  }, 20_000);

  test('are not there with --fragments cache; then order matters, and nothing else changes', async () => {
    await node.killAgent();
    await node.startAgent('--fragments', 'cache');
    expect((await node.status()).state.fragments).toEqual({ mode: 'cache' });
    expect(listNamespaces().filter((name) => names().includes(name))).toEqual([]);
    const kept = await send({ from: 'b', address: OUT.ipv4, port: OUT_PORT, order: 'kept' });
    expect(kept).toMatchObject({ received: COUNT, damaged: 0 });
    expect((await reversed()).received).toBeLessThanOrEqual(1);
  }, 40_000);

  test('a node that cannot have them says why and goes on', async () => {
    const net = loadNativeNet();
    const native = {
      ...loadNative(),
      attachDefrag: () => {
        throw new Error('no such link here');
      },
    };
    const path = process.env.PATH;
    const result = withNetlink(net, node.namespaces.path('node'), (netlink) => {
      const options = { net, node: netlink, nodeName: `${node.name}-poor`, bpffs: join(node.stateDir, 'bpf'), native };
      try {
        process.env.PATH = '/nonexistent';
        return openDetour({ ...options, wanted: 'auto' });
      } finally {
        process.env.PATH = path;
        closeDetour({ ...options, wanted: 'auto' });
      }
    });
    expect(result.ends).toEqual([]);
    expect(result.state).toMatchObject({ mode: 'cache' });
    expect(result.state.reason).toMatch(/ip netns add|nft/);
    expect(attempt(() => node.namespaces.run('node', ['ip', 'link', 'show', 'ist-fr-pods']))).toMatch(/does not exist/);
  });
});
