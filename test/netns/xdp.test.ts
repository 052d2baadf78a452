// XDP with real stacks and a real agent: a client, a node, and a backend on another node, with what is on the wires.
//
//   out (br0, 198.51.100.30) --+-- node eth0 198.51.100.1      the agent, no pods
//                              +-- far  eth0 198.51.100.2      "another node": its pod is an address of its own
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Flow, FlowKey, XdpCounter } from '../../src/datapath/types.gen.js';
import { DROP_REASON, FLOW_FLAGS } from '../../src/datapath/types.gen.js';
import { type Family, NODE, OUT, openSmallNode, type SmallNode } from '../support/small-node.js';

const FAMILIES = ['ipv4', 'ipv6'] as const;
const PROTOCOLS = ['tcp', 'udp'] as const;
const EACH = FAMILIES.flatMap((family) => PROTOCOLS.map((protocol) => ({ family, protocol })));
/** One of each kind: they take seconds. */
const RESTARTS = EACH.filter(({ family, protocol }) => (family === 'ipv4') === (protocol === 'tcp'));
const MODES = ['native', 'generic'] as const;
const PROGRAMS = { native: 'xdp_native', generic: 'xdp_generic' } as const;
const SERVER_PORT = 9000;
const PORT = 90;
const NODE_PORT = 30_090;
const FAR = { ipv4: '198.51.100.2', ipv6: '2001:db8:100::2' };
const FAR_POD = { ipv4: '10.244.2.5', ipv6: 'fd00:10:1:2::5' };
const BALANCED = { ipv4: '203.0.113.77', ipv6: '2001:db8:f::77' };

let node: SmallNode;

beforeAll(async () => {
  node = await openSmallNode('far');
  connectFar();
  writeObjects();
  await node.start('far', 'serve', '--port', String(SERVER_PORT));
}, 60_000);

afterAll(() => node?.[Symbol.asyncDispose](), 30_000);

/** The client's namespace becomes a switch with an address, and what reaches the nodes has been on a wire. */
function connectFar(): void {
  const { namespaces } = node;
  namespaces.ip(['link add name far0 netns @out type veth peer name eth0 netns @far']);
  const ip = (short: string, line: string) => namespaces.run(short, ['ip', ...line.split(' ')]);
  ip('out', 'link add br0 type bridge forward_delay 0 mcast_snooping 0');
  for (const port of ['eth0', 'far0']) {
    ip('out', `addr flush dev ${port}`);
    ip('out', `link set ${port} up master br0`);
  }
  ip('out', 'link set br0 up');
  ip('far', 'link set eth0 up');
  for (const family of FAMILIES) {
    const [bits, host, dad] = family === 'ipv4' ? [24, 32, ''] : [64, 128, ' nodad'];
    ip('out', `addr add ${OUT[family]}/${bits} dev br0${dad}`);
    ip('out', `route add ${BALANCED[family]}/${host} via ${NODE[family]}`);
    ip('far', `addr add ${FAR[family]}/${bits} dev eth0${dad}`);
    ip('far', `addr add ${FAR_POD[family]}/${host} dev lo`);
  }
}

/** `finished`: checksums are what a device would have made of them, as on any wire that is none of this machine. */
function setWires({ finished, gro }: { finished: boolean; gro: boolean }): void {
  const features = ['tx', finished ? 'off' : 'on', 'gro', gro ? 'on' : 'off'];
  node.namespaces.run('out', ['ethtool', '-K', 'eth0', ...features]);
}

function writeObjects(): void {
  const ports = (['TCP', 'UDP'] as const).map((protocol) => ({ name: protocol.toLowerCase(), protocol }));
  const other = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'far' },
    spec: { podCIDRs: ['10.244.2.0/24', 'fd00:10:1:2::/64'] },
    status: { addresses: FAMILIES.map((family) => ({ type: 'InternalIP', address: FAR[family] })) },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'shop', namespace: 'default' },
    spec: {
      type: 'LoadBalancer',
      clusterIPs: ['10.96.0.90', 'fd00:96::90'],
      ports: ports.map((port) => ({ ...port, port: PORT, nodePort: NODE_PORT })),
      loadBalancerSourceRanges: ['192.0.2.0/24', '2001:db8:aaaa::/48'],
    },
    status: { loadBalancer: { ingress: FAMILIES.map((family) => ({ ip: BALANCED[family] })) } },
  };
  const slices = FAMILIES.map((family) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `shop-${family}`, namespace: 'default', labels: { 'kubernetes.io/service-name': 'shop' } },
    addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
    endpoints: [{ addresses: [FAR_POD[family]], nodeName: 'far' }],
    ports: ports.map((port) => ({ ...port, port: SERVER_PORT })),
  }));
  node.apply('shop', [other, service, ...slices]);
}

async function eventually(check: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  expect.fail(`${what} did not happen:\n${node.log()}`);
}

async function startAgent(mode: string): Promise<void> {
  await node.killAgent();
  await node.startAgent('--xdp', mode);
}

async function sent(): Promise<number> {
  const [[, cpus] = [0, []]] = await node.map<number, readonly XdpCounter[]>('xdp_counters');
  return cpus.reduce((sum, { packets }) => sum + Number(packets), 0);
}

/** What the device says that its xdp program did. */
function deviceCount(name: 'xdp_tx' | 'xdp_drops'): number {
  const text = node.namespaces.run('node', ['ethtool', '-S', 'eth0']);
  const lines = [...text.matchAll(new RegExp(`rx_queue_\\d+_${name}: (\\d+)`, 'g'))];
  return lines.reduce((sum, [, count]) => sum + Number(count), 0);
}

const ask = (family: Family, ...argv: readonly string[]) => {
  const [protocol = '', ...rest] = argv;
  return node.probe('out', protocol, NODE[family], String(NODE_PORT), ...rest);
};

/** Many packets there and back by one connection. */
const talk = (family: Family, protocol: (typeof PROTOCOLS)[number], seconds = 1) =>
  ask(family, protocol, protocol === 'tcp' ? 'hold' : 'stream', '--rate', '100', '--seconds', String(seconds));

/** Captures what the node sends, where it arrives. */
function capture(short: 'out' | 'far', device: string, family: Family): ChildProcess {
  const filter = `src host ${NODE[family]} and (tcp or udp)`;
  return node.namespaces.start(short, [
    'tcpdump',
    '-nn',
    '-vv',
    '-l',
    '--immediate-mode',
    '-i',
    device,
    '-Q',
    'in',
    filter,
  ]);
}

async function textOf(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => (text += part));
  await new Promise((resolve) => child.stderr?.once('data', resolve));
  return new Promise((resolve) => {
    child.once('close', () => resolve(text));
  });
}

describe.each(MODES)('%s', (mode) => {
  beforeAll(async () => {
    setWires({ finished: true, gro: mode === 'native' });
    await startAgent(mode);
    await eventually(async () => (await ask('ipv6', 'tcp', 'who')).ok, 'the service');
  }, 60_000);

  beforeEach(() => setWires({ finished: true, gro: mode === 'native' }));

  test('the agent says how it is attached', async () => {
    const { state } = await node.status();
    expect(state.xdp).toEqual({ mode });
    expect(state.attachments).toContainEqual({ program: PROGRAMS[mode], target: 'eth0', kind: 'xdp' });
  });

  test.each(EACH)(
    'K9 K28 $family $protocol: a NodePort whose backend is on another node',
    async ({ family, protocol }) => {
      const before = await sent();
      const { ok, error } = await talk(family, protocol);
      expect([ok, error]).toEqual([true, undefined]);
      expect((await sent()) - before).toBeGreaterThan(150);
      const flows = await node.map<FlowKey, Flow>('flows');
      const mine = flows.filter(
        ([key, flow]) => key.destination_port === NODE_PORT && !(flow.flags & FLOW_FLAGS.FLOW_REPLY),
      );
      expect(mine.map(([, flow]) => flow.source)).toContain(NODE[family]);
    },
    30_000,
  );

  test.each(FAMILIES)(
    '%s: megabytes arrive as they were sent, in both directions',
    async (family) => {
      const before = await sent();
      const report = await ask(family, 'tcp', 'transfer', '--bytes', '4000000', '--timeout', '10000');
      expect([report.ok, report.error]).toEqual([true, undefined]);
      expect((await sent()) - before).toBeGreaterThan(500);
    },
    30_000,
  );

  test.each(EACH)(
    '$family $protocol: checksums on the wire are right',
    async ({ family, protocol }) => {
      const wires = [capture('far', 'eth0', family), capture('out', 'eth0', family)];
      const texts = wires.map(textOf);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const before = await sent();
      expect((await talk(family, protocol)).ok).toBe(true);
      expect((await sent()) - before).toBeGreaterThan(150);
      await new Promise((resolve) => setTimeout(resolve, 300));
      for (const wire of wires) wire.kill('SIGINT');
      for (const text of await Promise.all(texts)) {
        expect(
          text.match(protocol === 'tcp' ? /cksum 0x[0-9a-f]+ \(correct\)/g : /udp sum ok/g)?.length ?? 0,
        ).toBeGreaterThan(80);
        expect(text).not.toMatch(/incorrect|bad (udp )?cksum/);
      }
    },
    30_000,
  );

  test.each(EACH)(
    '$family $protocol: unfinished checksums take the way through tc',
    async ({ family, protocol }) => {
      setWires({ finished: false, gro: mode === 'native' });
      const before = await sent();
      expect((await talk(family, protocol)).ok).toBe(true);
      // One finished one in 65,536 looks unfinished, and no unfinished one looks finished.
      expect(await sent()).toBe(before);
    },
    30_000,
  );

  test.each(FAMILIES)(
    'K12 %s: source ranges are kept, with the same reason',
    async (family) => {
      const drops = async () => {
        const entries = await node.map<{ reason: number }, readonly { packets: bigint }[]>('drops');
        return entries
          .filter(([{ reason }]) => reason === DROP_REASON.DROP_SOURCE_RANGE)
          .reduce((sum, [, cpus]) => sum + cpus.reduce((all, { packets }) => all + Number(packets), 0), 0);
      };
      const before = { all: await drops(), device: mode === 'native' ? deviceCount('xdp_drops') : 0 };
      const report = await node.probe('out', 'udp', BALANCED[family], String(PORT), 'who', '--timeout', '300');
      expect(report.ok).toBe(false);
      const dropped = (await drops()) - before.all;
      expect(dropped).toBeGreaterThan(0);
      if (mode === 'native') expect(deviceCount('xdp_drops') - before.device).toBe(dropped);
    },
    30_000,
  );

  test.each(RESTARTS)(
    '$family $protocol: nothing is lost while the agent is killed and another takes over',
    async ({ family, protocol }) => {
      const pin = join(node.stateDir, 'bpf', 'links', `${PROGRAMS[mode]}-eth0`);
      const link = statSync(pin).ino;
      const before = await sent();
      const held = talk(family, protocol, 4);
      await new Promise((resolve) => setTimeout(resolve, 500));
      await node.killAgent();
      await new Promise((resolve) => setTimeout(resolve, 500));
      const alone = await sent();
      expect(alone).toBeGreaterThan(before + 50);
      await node.startAgent('--xdp', mode);
      const report = await held;
      expect([report.ok, report.error]).toEqual([true, undefined]);
      if (protocol === 'udp') expect(report.lost ?? 0).toBe(0);
      expect(await sent()).toBeGreaterThan(alone + 300);
      expect(statSync(pin).ino).toBe(link);
    },
    40_000,
  );
});

test('another mode takes the place of the first, and never takes the program off', async () => {
  const pins = () => MODES.map((mode) => existsSync(join(node.stateDir, 'bpf', 'links', `${PROGRAMS[mode]}-eth0`)));
  const attached = () =>
    /xdp/.test(execFileSync('ip', ['-n', node.namespaces.name('node'), 'link', 'show', 'eth0'], { encoding: 'utf8' }));
  await startAgent('native');
  expect([pins(), attached()]).toEqual([[true, false], true]);
  await startAgent('generic');
  expect([pins(), attached()]).toEqual([[false, true], true]);
  await startAgent('auto');
  expect([pins(), attached()]).toEqual([[false, false], false]);
  expect((await node.status()).state.xdp).toEqual({ mode: 'tc', reason: expect.stringContaining('veth') });
  await startAgent('never');
  expect((await node.status()).state.xdp).toEqual({ mode: 'tc' });
  const before = await sent();
  for (const { family, protocol } of EACH) expect((await ask(family, protocol, 'who')).ok).toBe(true);
  expect(await sent()).toBe(before);
}, 90_000);
