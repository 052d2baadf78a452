// The CNI plugin and the agent behind it, as a container runtime uses them: on a real node, with real pods.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AgentNode } from '../support/agent-node.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';
import { deleteEntry } from '../support/pinned.js';

let node: AgentNode;

beforeAll(async () => {
  node = await AgentNode.open();
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

/** All that a pod leaves on a node, by kind. */
async function traces(): Promise<Record<string, unknown>> {
  const routes = (await node.ip('node', 'route show')) + (await node.ip('node', '-6 route show'));
  return {
    devices: await node.podDevices(),
    records: node.records(),
    endpoints: node
      .entries<string>('endpoints')
      .map(([address]) => address)
      .sort(),
    links: Object.keys(await node.programs()),
    routes: routes.split('\n').filter((line) => /dev ist/.test(line)),
  };
}

describe('before anything is in force', () => {
  beforeAll(() => {
    node.spawnAgent();
  });

  test('C2 C5 C8: VERSION is answered, STATUS says not available, ADD says try again, DEL succeeds', async () => {
    await node.addNamespace('early');
    await expect.poll(() => existsSync(node.socket), { timeout: 10_000 }).toBe(true);
    const version = await node.cni('VERSION', 'early');
    expect(version.json).toMatchObject({ supportedVersions: expect.arrayContaining(['0.1.0', '1.1.0']) });
    expect(await node.cni('STATUS', 'early')).toMatchObject({ status: 1, json: { code: 50 } });
    expect(await node.cni('ADD', 'early')).toMatchObject({ status: 1, json: { code: 11 } });
    expect(await node.cni('DEL', 'early')).toMatchObject({ status: 0, stdout: '' });
    expect(node.records()).toEqual([]);
  });

  test('C8: STATUS is good as soon as the manifests are', async () => {
    node.writeManifests();
    const status = await node.waitFor(({ state }) => state.attachments.length > 0);
    expect(status.state.problems).toEqual([]);
    expect(await node.cni('STATUS', 'early')).toMatchObject({ status: 0, stdout: '' });
  });
});

describe('requests that cannot be understood', () => {
  test.each([
    ['not JSON', { stdin: '{"cniVersion": ' }, 6, /not JSON/],
    ['no network configuration', { stdin: '[]' }, 7, /invalid/],
    ['a version of the future', { cniVersion: '2.0.0' }, 1, /0\.1\.0, .*1\.1\.0/],
    ['a container id with a slash', { containerID: '../../etc/passwd' }, 4, /not a container id/],
    ['an interface name with a slash', { ifname: '../eth0' }, 4, /not an interface name/],
    ['an interface name that is too long', { ifname: 'abcdefghijklmnop' }, 4, /not an interface name/],
    ['no namespace', { netns: '' }, 4, /CNI_NETNS/],
    ['a namespace that is gone', { netns: '/run/netns/ist-t-none' }, 3, /no network namespace/],
    ['a file that is no namespace', { netns: '/etc/passwd' }, 3, /no network namespace/],
  ] as const)('C3 C9: %s', async (_name, options, code, message) => {
    const { status, json } = await node.cni('ADD', 'early', options);
    expect(status).toBe(1);
    expect(json.code).toBe(code);
    expect(json.msg).toMatch(message);
    expect(node.records()).toEqual([]);
  });

  test('C3 C7: an unknown command, and GC without a list, change nothing', async () => {
    await node.addPod('kept');
    expect(await node.cni('RENAME', 'kept')).toMatchObject({ status: 1, json: { code: 4 } });
    expect(await node.cni('GC', 'kept')).toMatchObject({ status: 0, stdout: '' });
    expect(await node.cni('CHECK', 'kept')).toMatchObject({ status: 0 });
    await node.deletePod('kept');
  });
});

describe('a pod', () => {
  test('C4 C5 C6: is added, checked, reached from its node, translated on its way out, and deleted without a trace', async () => {
    const before = await traces();
    const pod = await node.addPod('a');
    expect(await node.cni('CHECK', 'a')).toMatchObject({ status: 0, stdout: '' });
    const report = await node.probe('a', 'tcp', OUTSIDE.ipv4, String(PORT), 'who');
    expect(sawOf(report).address).toBe(NODE.ipv4);
    expect(sawOf(await node.probe('a', 'tcp', OUTSIDE.ipv6, String(PORT), 'who')).address).toBe(NODE.ipv6);
    await node.startServer('a');
    expect(await node.probe('node', 'tcp', pod.ipv4, String(PORT), 'who')).toMatchObject({ ok: true });
    expect(await node.probe('node', 'tcp', pod.ipv6, String(PORT), 'who')).toMatchObject({ ok: true });
    expect(node.flows().length).toBeGreaterThan(0);
    await node.deletePod('a');
    expect(await traces()).toEqual(before);
    expect(node.flows()).toEqual([]);
  });

  test('C4: a second ADD is refused, and the pod keeps what it has', async () => {
    const { ipv4 } = await node.addPod('b');
    const before = await traces();
    expect(await node.cni('ADD', 'b')).toMatchObject({ status: 1, json: { code: 101 } });
    expect(await traces()).toEqual(before);
    expect(await node.cni('CHECK', 'b')).toMatchObject({ status: 0 });
    expect((await node.ip('b', '-4 addr show dev eth0')).includes(ipv4)).toBe(true);
    await node.deletePod('b');
  });

  test('C5: DEL succeeds for who was never added, twice, and after the namespace went away', async () => {
    expect(await node.cni('DEL', 'never')).toMatchObject({ status: 0, stdout: '' });
    await node.addPod('c');
    await node.deleteNamespace('c');
    expect(await node.cni('DEL', 'c')).toMatchObject({ status: 0, stdout: '' });
    expect(await node.cni('DEL', 'c', { netns: '' })).toMatchObject({ status: 0, stdout: '' });
    expect(await node.podDevices()).toEqual([]);
  });

  test('a second interface would need the default route of the first one, and is refused', async () => {
    await node.addPod('twin');
    const { status, json } = await node.cni('ADD', 'twin', { ifname: 'net1' });
    expect(status).toBe(1);
    expect(json.details).toBe('the pod has a default route by eth0 already, and can have only one');
    expect(node.records()).toEqual(['container-twin-eth0.json']);
    expect(await node.cni('DEL', 'twin', { ifname: 'net1' })).toMatchObject({ status: 0 });
    expect(await node.cni('CHECK', 'twin')).toMatchObject({ status: 0 });
    await node.deletePod('twin');
  });

  test.each([
    ['its IPv4 address', 'a', (ip: string) => `addr del ${ip}/32 dev eth0`, /lost its address/],
    ['its IPv4 route', 'a', () => 'route del default', /lost its route by 169\.254\.1\.1/],
    ['its IPv6 route', 'a', () => '-6 route del default', /lost its route by fe80::1/],
    ['its device', 'a', () => 'link del eth0', /is missing/],
    ['its device, which is down', 'a', () => 'link set eth0 down', /is down/],
  ] as const)('C6: CHECK notices that the pod lost %s', async (_name, pod, change, reason) => {
    const { ipv4 } = await node.addPod(pod);
    await node.ip(pod, change(ipv4));
    const { status, json } = await node.cni('CHECK', pod);
    expect(status).toBe(1);
    expect(json).toMatchObject({ code: 103, msg: expect.stringContaining(`pod test/${pod}`) });
    expect(json.details).toMatch(reason);
    await node.deletePod(pod);
  });

  test.each<[string, (pod: { ipv4: string; ipv6: string }) => unknown, RegExp]>([
    ['its route', ({ ipv4 }) => node.ip('node', `route del ${ipv4}/32`), /lost its route to/],
    ['its entry', ({ ipv6 }) => deleteEntry(node.bpffs, 'endpoints', ipv6), /map of endpoints/],
  ])('C6: CHECK notices that the node lost %s', async (_name, change, reason) => {
    await change(await node.addPod('a'));
    const { status, json } = await node.cni('CHECK', 'a');
    expect({ status, code: json.code }).toEqual({ status: 1, code: 103 });
    expect(json.details).toMatch(reason);
    await node.deletePod('a');
  });

  test('C6 C10: CHECK accepts what plugins behind added, and refuses a result without the addresses', async () => {
    await node.addPod('a');
    const { json } = await node.cni('CHECK', 'a', { config: { prevResult: { ips: [{ address: '10.9.9.9/32' }] } } });
    expect(json).toMatchObject({ code: 103, details: expect.stringMatching(/result of ADD does not name/) });
    await node.ip('a', 'addr add 10.9.9.9/32 dev eth0');
    await node.ip('a', 'route add 192.0.2.0/24 dev eth0');
    expect(await node.cni('CHECK', 'a')).toMatchObject({ status: 0, stdout: '' });
    await node.deletePod('a');
  });

  test('C6: CHECK of who was never added is an error', async () => {
    expect(await node.cni('CHECK', 'never')).toMatchObject({ status: 1, json: { code: 3 } });
  });

  test('a namespace whose new devices have no IPv6 gets its IPv6 address all the same', async () => {
    await node.addNamespace('v4');
    const off = 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6';
    expect((await node.exec('v4', ['sh', '-c', off])).status).toBe(0);
    expect(await node.cni('ADD', 'v4')).toMatchObject({ status: 0 });
    expect(await node.probe('v4', 'tcp', OUTSIDE.ipv6, String(PORT), 'who')).toMatchObject({ ok: true });
    await node.deletePod('v4');
  });
});

describe('an ADD that fails half-way', () => {
  test('C3 C4: because the pod has such an interface: nothing is left', async () => {
    await node.addNamespace('taken');
    await node.ip('taken', 'link add eth0 type veth peer name other');
    const before = await traces();
    const { status, json } = await node.cni('ADD', 'taken');
    expect(status).toBe(1);
    expect(json).toMatchObject({ code: 5, msg: expect.stringMatching(/test\/taken failed and was undone/) });
    expect(json.details).toBe('the pod has an interface eth0 already, which exists since before this ADD');
    expect(await traces()).toEqual(before);
    expect(await node.ip('taken', 'link show eth0')).toContain('eth0');
  });

  test('C4: because its program cannot be pinned: nothing is left, and the next one works', async () => {
    await node.addNamespace('unpinned');
    // A filter has no pin.
    await node.endAgent('SIGTERM');
    await node.startAgent({ attach: 'tcx' });
    const before = await traces();
    const links = join(node.bpffs, 'links');
    expect((await node.exec('node', ['mount', '--bind', '-o', 'ro', '/etc', links])).status).toBe(0);
    try {
      const { status, json } = await node.cni('ADD', 'unpinned');
      expect({ status, code: json.code }).toEqual({ status: 1, code: 5 });
    } finally {
      expect((await node.exec('node', ['umount', links])).status).toBe(0);
    }
    expect(await traces()).toEqual(before);
    expect(await node.cni('ADD', 'unpinned')).toMatchObject({ status: 0 });
    await node.deletePod('unpinned');
    await node.endAgent('SIGTERM');
    await node.startAgent({});
  });
});

describe('many pods', () => {
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`);

  test('C4: 20 ADDs at once succeed, each with addresses and a port block of its own', async () => {
    await node.addNamespace(...names);
    const results = await Promise.all(names.map((name) => node.cni('ADD', name)));
    expect(results.filter(({ status }) => status !== 0)).toEqual([]);
    const addresses = results.flatMap(({ json }) => (json.ips ?? []).map(({ address }) => address));
    expect(new Set(addresses).size).toBe(40);
    const status = await node.waitFor(({ endpoints }) => endpoints.length === 20);
    for (const family of [0, 1]) {
      const blocks = status.endpoints.flatMap(({ nat }) => nat[family]?.blocks ?? []);
      expect(new Set(blocks).size).toBe(20);
      expect(blocks.every((block) => block >= 1)).toBe(true);
    }
  });

  test('C7: GC removes what is not listed and nothing else', async () => {
    const valid = names.slice(0, 3).map((name) => ({ containerID: `container-${name}`, ifname: 'eth0' }));
    const config = { 'cni.dev/valid-attachments': [...valid, { containerID: 'container-p9', ifname: 'net7' }] };
    expect(await node.cni('GC', 'p0', { config })).toMatchObject({ status: 0, stdout: '' });
    expect(node.records()).toEqual(valid.map(({ containerID }) => `${containerID}-eth0.json`));
    expect(await node.podDevices()).toHaveLength(3);
    expect(await node.cni('CHECK', 'p1')).toMatchObject({ status: 0 });
    expect(await node.cni('GC', 'p0', { config: { 'cni.dev/valid-attachments': [] } })).toMatchObject({ status: 0 });
    expect(node.records()).toEqual([]);
  });

  test('C7: GC leaves the attachments of other networks alone', async () => {
    expect(await node.cni('ADD', 'p0', { config: { name: 'one' } })).toMatchObject({ status: 0 });
    expect(await node.cni('ADD', 'p1', { config: { name: 'two' } })).toMatchObject({ status: 0 });
    const config = { name: 'one', 'cni.dev/valid-attachments': [] };
    expect(await node.cni('GC', 'p0', { config })).toMatchObject({ status: 0, stdout: '' });
    expect(node.records()).toEqual(['container-p1-eth0.json']);
    expect(await node.cni('DEL', 'p1', { config: { name: 'two' } })).toMatchObject({ status: 0 });
  });

  test.each(['0.1.0', '0.2.0'])('C2: the result of version %s has one address of each family', async (cniVersion) => {
    const { json, status } = await node.cni('ADD', 'p0', { cniVersion });
    expect(status).toBe(0);
    expect(json).toMatchObject({
      cniVersion,
      ip4: { ip: expect.stringMatching(/^10\./) },
      ip6: { ip: expect.stringMatching(/^fd00:/) },
    });
    expect(await node.cni('DEL', 'p0', { cniVersion })).toMatchObject({ status: 0 });
  });

  test.each(['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])(
    'C2: the result is valid for version %s',
    async (cniVersion) => {
      const { json, status } = await node.cni('ADD', 'p0', { cniVersion });
      expect(status).toBe(0);
      expect(json.cniVersion).toBe(cniVersion);
      const old = cniVersion.startsWith('0.');
      expect(json.ips?.map(({ version }) => version)).toEqual(old ? ['4', '6'] : [undefined, undefined]);
      expect(json.ips?.map((ip) => json.interfaces?.[ip.interface]?.sandbox)).toEqual([
        node.netnsPath('p0'),
        node.netnsPath('p0'),
      ]);
      expect(await node.cni('DEL', 'p0', { cniVersion })).toMatchObject({ status: 0 });
    },
  );
});

describe('exhaustion', () => {
  const names = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5'];

  test('C8: a full pod CIDR says so; DEL makes room', async () => {
    node.writeNode('10.244.2.0/29', 'fd00:244:1::/64');
    await addUntilTaken('10.244.2.');
    for (const name of names.slice(1)) expect(await node.cni('ADD', name)).toMatchObject({ status: 0 });
    const { status, json } = await node.cni('ADD', 'p6');
    expect({ status, code: json.code }).toEqual({ status: 1, code: 102 });
    expect(json.msg).toBe('no free address in the pod CIDRs 10.244.2.0/29 of node n1');
    expect(await node.cni('STATUS', 'p6')).toMatchObject({ status: 1, json: { code: 50, msg: json.msg } });
    expect(await node.cni('DEL', 'p2')).toMatchObject({ status: 0 });
    expect(await node.cni('ADD', 'p6')).toMatchObject({ status: 0 });
  });

  test('C8: a full port range says so; DEL makes room once the block has rested', async () => {
    node.writeNetwork({ nat: { ports: '60000-61023', blockSize: 128, reuseHold: 2 } });
    node.writeNode('10.244.2.0/24', 'fd00:244:1::/64');
    await node.waitFor(({ state }) => state.blockSize === 128, 30_000);
    await addUntilTaken('10.244.2.', 'p7');
    const { status, json } = await node.cni('ADD', 'p8');
    expect({ status, code: json.code }).toEqual({ status: 1, code: 102 });
    expect(json.msg).toMatch(/no free port block: the NAT ports 60000-61023 .* hold 8 blocks of 128/);
    expect(await node.cni('DEL', 'p4')).toMatchObject({ status: 0 });
    const early = await node.cni('ADD', 'p8');
    expect({ status: early.status, code: early.json.code }).toEqual({ status: 1, code: 11 });
    expect(early.json.msg).toMatch(/no port block is free yet: .* the 1 without an owner rest for 2 s/);
    await expect.poll(async () => (await node.cni('ADD', 'p8')).status, { timeout: 5000 }).toBe(0);
  });

  /** A new manifest is in force when an ADD gets an address of it. */
  async function addUntilTaken(prefix: string, name = 'p0'): Promise<void> {
    await expect
      .poll(
        async () => {
          const { json } = await node.cni('ADD', name);
          if (json.ips?.[0]?.address.startsWith(prefix)) return true;
          await node.cni('DEL', name);
          return json;
        },
        { timeout: 30_000 },
      )
      .toBe(true);
  }
});

describe('while the agent is down', () => {
  test('C8 C9: the plugin says so, and nothing is lost', async () => {
    const records = node.records();
    await node.endAgent('SIGKILL');
    expect(await node.cni('ADD', 'p9')).toMatchObject({ status: 1, json: { code: 11 } });
    rmSync(node.socket, { force: true });
    expect(await node.cni('STATUS', 'p9')).toMatchObject({ status: 1, json: { code: 50 } });
    await node.startAgent();
    expect(node.records()).toEqual(records);
    expect(await node.cni('CHECK', 'p7')).toMatchObject({ status: 0 });
  });
});
