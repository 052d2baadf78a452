// Who is measured: the plan of the world, the plugins of others, what a server must see, and what both ends count.
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { planBench } from '../../src/bench/bench-plan.js';
import { bridgeConfig, portmapConfig } from '../../src/bench/bridge.js';
import { judgeAnswer } from '../../src/bench/carry.js';
import { countedBetween, parseTcpCounters, readTcpCounters } from '../../src/bench/counters.js';
import { COMPARISONS, LONG_SECTIONS, SECTIONS, STREAM_COMPARISONS } from '../../src/bench/goals.js';
import { listPeers } from '../../src/bench/peers.js';
import { allNamespaces, allStations } from '../../src/bench/plan.js';
import { findReferencePlugins, pluginError } from '../../src/bench/reference-plugins.js';
import { describeTroubles } from '../../src/bench/troubles.js';

const SNMP = `Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm MaxConn EstabResets RetransSegs InErrs OutRsts
Tcp: 1 -1 4 17 0 9
`;
const NETSTAT = `TcpExt: SyncookiesSent TCPSynRetrans
TcpExt: 0 5
IpExt: InOctets OutRsts
IpExt: 3 77
`;

/** Every pod has an address, as the agents and the plugins would have given it. */
function peersOf(plan: ReturnType<typeof planBench>, { bridged = true } = {}) {
  const address = (index: number) => ({ ipv4: `10.0.0.${index + 1}`, ipv6: `2001:db8::${index + 1}` });
  const ours = Object.fromEntries(plan.pods.map(({ id }, index) => [id, address(index)]));
  const others = plan.bridges.flatMap(({ pods }) => pods);
  const pods = others.map(({ id }, index) => [id, { address: `10.246.0.${index + 1}` }] as const);
  return listPeers(plan, { ours, bridged: bridged ? Object.fromEntries(pods) : {} });
}

test('counters are found by their group and name; what a kernel does not show is zero', () => {
  const counters = parseTcpCounters(SNMP + NETSTAT);
  expect(counters).toEqual({ retransmits: 17, synRetransmits: 5, resetsSent: 9, connectionsReset: 4 });
  const none = { retransmits: 0, synRetransmits: 0, resetsSent: 0, connectionsReset: 0 };
  expect(parseTcpCounters(NETSTAT)).toEqual({ ...none, synRetransmits: 5 });
  expect(parseTcpCounters('')).toEqual(none);
  const later = parseTcpCounters(SNMP.replace('4 17 0 9', '4 20 0 10') + NETSTAT);
  expect(countedBetween(counters, later)).toEqual({ ...none, retransmits: 3, resetsSent: 1 });
});

test('a connection that is refused is a reset in the counters of this namespace', async () => {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
  const before = readTcpCounters(process.pid);
  const refusal = await new Promise<NodeJS.ErrnoException>((resolve) =>
    connect(port, '127.0.0.1').on('error', resolve),
  );
  expect(refusal.code).toBe('ECONNREFUSED');
  expect(countedBetween(before, readTcpCounters(process.pid)).resetsSent).toBeGreaterThanOrEqual(1);
});

test('troubles are said by end, and not at all where there are none', () => {
  const none = { retransmits: 0, synRetransmits: 0, resetsSent: 0, connectionsReset: 0 };
  const run = { ...none, errors: 0, server: none };
  expect(describeTroubles('flat', [run, { ...none, errors: 0 }])).toBeUndefined();
  const troubled = { ...run, resetsSent: 2, server: { ...none, resetsSent: 1, retransmits: 4 } };
  expect(describeTroubles('flat', [run, troubled])).toBe(
    'flat: segments sent again 4 (server); resets sent 2 (client), 1 (server)',
  );
});

test('every namespace and every address of a wire is there once', () => {
  const plan = planBench();
  const names = allNamespaces(plan);
  expect(new Set(names).size).toBe(names.length);
  const addresses = allStations(plan).flatMap((station) => Object.values(station.addresses));
  expect(new Set(addresses).size).toBe(addresses.length);
});

test('the world of large packets is a second one, which a plan may leave out', () => {
  const [whole, small] = [planBench(), planBench({ jumbo: false })];
  expect(allNamespaces(whole)).toEqual(expect.arrayContaining(allNamespaces(small)));
  const large = allStations(whole).filter(({ mtu }) => mtu === 9000);
  expect(large.map(({ name }) => name.endsWith('-9000'))).toEqual(Array(12).fill(true));
  expect(allStations(small).filter(({ mtu }) => mtu !== undefined)).toEqual([]);
  expect(whole.nodes.map(({ name }) => name).filter((name) => name.endsWith('-9000'))).toHaveLength(4);
  expect(whole.kernelNodes.filter(({ mtu }) => mtu === 9000).map(({ name }) => name)).toEqual(['masq-9000']);
});

test('whoever is compared is a peer of the whole plan, with places that are planned', () => {
  const plan = planBench();
  const peers = peersOf(plan);
  const names = new Set<string>(peers.map(({ name }) => name));
  expect(names.size).toBe(peers.length);
  const compared = [...COMPARISONS, ...STREAM_COMPARISONS].flatMap(({ subject, reference }) => [subject, reference]);
  expect(compared.filter((name) => !names.has(name))).toEqual([]);
  const places = new Set(allNamespaces(plan));
  for (const { client, server } of peers) {
    expect([places.has(client), places.has(server.netns), server.address]).toEqual([
      true,
      true,
      expect.stringMatching(/./),
    ]);
  }
});

test('what a quick run leaves out needs the second world, and nothing else does', () => {
  const large = STREAM_COMPARISONS.filter(({ subject }) => subject.endsWith('-9000'));
  expect(large.length).toBeGreaterThan(0);
  expect(LONG_SECTIONS.filter((section) => !SECTIONS.includes(section))).toEqual([]);
  expect(new Set(large.map(({ section }) => section))).toEqual(new Set(['stream']));
  const usual = COMPARISONS.filter(({ section }) => !LONG_SECTIONS.includes(section));
  const names = new Set<string>(peersOf(planBench({ jumbo: false })).map(({ name }) => name));
  expect(usual.flatMap(({ subject, reference }) => [subject, reference]).filter((name) => !names.has(name))).toEqual(
    [],
  );
});

test('without the plugins there is no peer behind a bridge', () => {
  const names = peersOf(planBench(), { bridged: false }).map(({ name }) => name);
  expect(names.filter((name) => name.startsWith('bridge'))).toEqual([]);
  expect(names).toContain('masquerade-9000');
});

test('plugins are asked for a gateway, masquerading and the host port, each node with addresses of its own', () => {
  const { bridges } = planBench();
  const configs = bridges.map(bridgeConfig);
  expect(configs.map(({ type, isGateway, ipMasq }) => [type, isGateway, ipMasq])).toEqual(
    bridges.map(() => ['bridge', true, true]),
  );
  expect(new Set(configs.map(({ ipam }) => ipam.dataDir)).size).toBe(bridges.length);
  expect(configs[1]?.ipam.ranges).toEqual([[{ subnet: '10.246.2.0/24' }]]);
  const mappings = bridges.flatMap(({ pods }) => pods.map((pod) => portmapConfig(pod).runtimeConfig.portMappings));
  expect(mappings.flat()).toEqual([{ hostPort: 8081, containerPort: 8080, protocol: 'tcp' }]);
});

test('a path carries traffic when the server answers and sees whom it should', () => {
  expect(judgeAnswer({ ok: true, saw: '10.0.0.1:4000' }, '10.0.0.1')).toBeUndefined();
  expect(judgeAnswer({ ok: true, saw: '[2001:db8::1]:4000' }, '2001:db8:0::1')).toBeUndefined();
  expect(judgeAnswer({ ok: true, saw: '10.0.0.1:4000' }, undefined)).toBeUndefined();
  expect(judgeAnswer({ ok: true, saw: '198.18.1.1:4000' }, '10.0.0.1')).toBe(
    'the server sees 198.18.1.1 and not 10.0.0.1',
  );
  expect(judgeAnswer({ ok: false, error: 'ETIMEDOUT' }, '10.0.0.1')).toBe('it carries no traffic: ETIMEDOUT');
  expect(judgeAnswer(undefined, '10.0.0.1')).toBe('it carries no traffic: the probe said nothing');
});

test('plugins that are not installed are named, and one that fails is quoted', () => {
  expect(findReferencePlugins(['bridge', 'no-such-plugin'])).toEqual({
    missing: 'no directory has bridge, no-such-plugin: not /usr/lib/cni nor /opt/cni/bin',
  });
  const printed = '{\n    "code": 999,\n    "msg": "failed to allocate",\n    "details": "range is full"\n}\n';
  expect(pluginError(printed)).toBe('"msg": "failed to allocate", "details": "range is full"');
  expect(pluginError('exec format error\n')).toBe('exec format error');
});
