// A Service of a process of the node itself, reached by packets: from outside and from a pod, over restarts of the agent.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';

const VIP = { ipv4: '10.96.0.80', ipv6: 'fd00:96::80' } as const;
const FRONTEND = 80;
const NODE_PORTS = { ipv4: 30_480, ipv6: 30_680 } as const;
const FAMILIES = ['ipv4', 'ipv6'] as const;
type Family = (typeof FAMILIES)[number];

let node: AgentNode;
let pod: Readonly<Record<Family, string>>;
beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
  // Pods by packets too, as other network stacks than the kernel's are.
  await node.startAgent({ sockets: 'never' });
  pod = await node.addPod('a');
  await node.startServer('node');
  for (const family of FAMILIES) {
    await node.ip('outside', `route add ${VIP[family]}/${family === 'ipv4' ? 32 : 128} via ${NODE[family]}`);
  }
});
afterAll(() => node?.[Symbol.asyncDispose]());

function service(family: Family): object[] {
  const name = `host-${family}`;
  const metadata = { name, namespace: 'test' };
  const port = { port: FRONTEND, targetPort: PORT };
  const ports = [
    { ...port, name: 'tcp', protocol: 'TCP', nodePort: NODE_PORTS[family] },
    { ...port, name: 'udp', protocol: 'UDP', nodePort: NODE_PORTS[family] },
  ];
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { type: 'NodePort', clusterIP: VIP[family], clusterIPs: [VIP[family]], ports },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: family === 'ipv4' ? 'IPv4' : 'IPv6',
      endpoints: [{ addresses: [NODE[family]], nodeName: 'n1', conditions: { ready: true } }],
      ports: ports.map((each) => ({ name: each.name, protocol: each.protocol, port: PORT })),
    },
  ];
}

const ask = (from: 'outside' | 'a', protocol: string, address: string, port: number) =>
  node.probe(from, protocol, address, String(port), 'who', '--timeout', '1000');

/** Devices on which programs look at what the node's own processes send. */
async function watched(): Promise<string[]> {
  const attachments = (await node.status())?.state.attachments ?? [];
  return attachments.flatMap(({ program, target }) => (program === 'from_host' ? target : [])).sort();
}

test('without such a backend nothing looks at what the node sends', async () => {
  expect(await watched()).toEqual([]);
  for (const family of FAMILIES) node.write(`host-${family}.yaml`, ...service(family));
  expect(await until(async () => (await watched()).length > 0, 5000), node.tail()).toBe(true);
  expect(await watched()).toEqual(['eth0', expect.stringMatching(/^ist/)]);
  const works = async () => (await ask('outside', 'tcp', VIP.ipv6, FRONTEND)).ok;
  expect(await until(works, 5000)).toBe(true);
});

describe.each(FAMILIES)('%s', (family) => {
  test.each(['tcp', 'udp'])(
    'K8: %s from outside: the process sees the client, which sees the frontend',
    async (protocol) => {
      for (const [address, port] of [
        [VIP[family], FRONTEND],
        [NODE[family], NODE_PORTS[family]],
      ] as const) {
        const report = await ask('outside', protocol, address, port);
        expect(report).toMatchObject({ ok: true });
        expect(sawOf(report).address).toBe(OUTSIDE[family]);
      }
    },
  );

  test.each(['tcp', 'udp'])('K8: %s from a pod by packets: the process sees the pod', async (protocol) => {
    const report = await ask('a', protocol, VIP[family], FRONTEND);
    expect(report).toMatchObject({ ok: true });
    expect(sawOf(report).address).toBe(pod[family]);
  });

  test('the process is reached directly, too', async () => {
    expect(await ask('outside', 'tcp', NODE[family], PORT)).toMatchObject({ ok: true });
    expect(await ask('a', 'udp', NODE[family], PORT)).toMatchObject({ ok: true });
  });
});

test('connections last over the death of the agent and the start of another', async () => {
  const frontend = [VIP.ipv4, String(FRONTEND)] as const;
  const held = [
    node.startProbe('outside', 'tcp', ...frontend, 'hold', '--seconds', '60', '--rate', '100'),
    node.startProbe('a', 'tcp', ...frontend, 'hold', '--seconds', '60', '--rate', '100'),
  ];
  const flows = () => node.flows().filter(({ value }) => value.packets > 20n).length;
  expect(await until(() => flows() >= 4, 8000)).toBe(true);
  await node.endAgent('SIGKILL');
  expect(await ask('outside', 'udp', VIP.ipv4, FRONTEND)).toMatchObject({ ok: true });
  await node.startAgent();
  expect(await ask('a', 'tcp', VIP.ipv6, FRONTEND)).toMatchObject({ ok: true });
  for (const probe of held) {
    const { ok, sent = 0, received = 0 } = await probe.stop();
    expect({ ok, lost: sent - received }).toEqual({ ok: true, lost: 0 });
    expect(sent).toBeGreaterThan(20);
  }
}, 60_000);
