// The CNI plugin under clients that others wrote, before plugins behind it, and with IPAM plugins of others.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { capture } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { findPlugins, findProgram, OWN_PLUGINS } from '../support/cni-clients.js';
import { NODE, OUTSIDE, PORT } from '../support/node-world.js';

const CNITOOL = findProgram('cnitool');
const PLUGINS = findPlugins('tuning', 'bandwidth', 'firewall', 'host-local', 'static', 'bridge');
const BOTH = CNITOOL !== undefined && PLUGINS !== undefined;
const missing = [
  ...(CNITOOL === undefined ? ['cnitool (run scripts/cni-programs.sh)'] : []),
  ...(PLUGINS === undefined ? ['the plugins of the CNI project (package containernetworking-plugins)'] : []),
];
/** Said in the name of what is skipped. */
const without = missing.length === 0 ? '' : `; skipped: not here: ${missing.join(', ')}`;

let node: AgentNode;

interface Plugin {
  readonly type: string;
  readonly [field: string]: unknown;
}

interface List {
  readonly cniVersion?: string;
  readonly before?: readonly Plugin[];
  readonly own?: object;
  readonly behind?: readonly Plugin[];
  readonly more?: object;
}

/** Writes a list of plugins, as an administrator does. */
function writeList(name: string, list: List): void {
  const { cniVersion = '1.0.0', before = [], own = {}, behind = [], more = {} } = list;
  const plugins = [...before, { type: 'isthmus-cni', ...own }, ...behind];
  mkdirSync(join(node.directory, 'net.d'), { recursive: true });
  const text = JSON.stringify({ cniVersion, name, ...more, plugins });
  writeFileSync(join(node.directory, 'net.d', `${name}.conflist`), text);
}

interface CnitoolOptions {
  readonly capabilities?: object;
  readonly ifname?: string;
}

/** Has the cache of results, whose place is fixed in libcni, in the test's own directory. */
const OWN_CACHE = 'mkdir -p /var/lib/cni && mount --bind "$0" /var/lib/cni && exec "$@"';

/** Runs cnitool, where plugins find the node's end of a veth. */
async function cnitool(verb: string, name: string, pod: string, options: CnitoolOptions = {}) {
  const env = {
    PATH: process.env.PATH,
    NETCONFPATH: join(node.directory, 'net.d'),
    CNI_PATH: `${OWN_PLUGINS}:${PLUGINS}`,
    CNI_IFNAME: options.ifname ?? 'eth0',
    ISTHMUS_SOCKET: node.socket,
    ...(options.capabilities === undefined ? {} : { CAP_ARGS: JSON.stringify(options.capabilities) }),
  };
  const cache = join(node.directory, 'cache');
  mkdirSync(cache, { recursive: true });
  const argv = ['unshare', '--mount', 'sh', '-c', OWN_CACHE, cache, CNITOOL ?? '', verb, name, node.netnsPath(pod)];
  return capture(argv, { env, netns: node.netns('node') });
}

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests();
  await node.startAgent();
});

/** What a test that failed left must not fail the next one. */
afterEach(async () => {
  for (const pod of ['tool', 'chain', 'local', 'static']) {
    await node.cni('DEL', pod);
    await node.deleteNamespace(pod).catch(() => undefined);
  }
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

describe.runIf(CNITOOL !== undefined)(`cnitool${without}`, () => {
  test.each(['0.3.1', '0.4.0', '1.0.0', '1.1.0'])(
    'C2 C4 C5 C6: add, check and del with version %s',
    async (version) => {
      await node.addNamespace('tool');
      writeList('plain', { cniVersion: version });
      const added = await cnitool('add', 'plain', 'tool');
      expect(added).toMatchObject({ status: 0 });
      expect(JSON.parse(added.stdout)).toMatchObject({ cniVersion: version, interfaces: [{}, { name: 'eth0' }] });
      expect(await node.probe('tool', 'tcp', OUTSIDE.ipv6, String(PORT), 'who')).toMatchObject({ ok: true });
      const check = await cnitool('check', 'plain', 'tool');
      expect(check.status).toBe(version === '0.3.1' ? 1 : 0);
      expect(await cnitool('del', 'plain', 'tool')).toMatchObject({ status: 0 });
      expect(await cnitool('del', 'plain', 'tool')).toMatchObject({ status: 0 });
      expect(node.records()).toEqual([]);
    },
  );

  test('C9: an error of ours reaches the client with its code and words', async () => {
    await node.addNamespace('tool');
    await node.ip('tool', 'link add eth0 type veth peer name other');
    writeList('plain', { cniVersion: '1.1.0' });
    const { status, stderr, stdout } = await cnitool('add', 'plain', 'tool');
    expect(status).toBe(1);
    expect(stderr + stdout).toMatch(/has an interface eth0 already/);
  });

  test('C7 C8 C14: status, and gc of what the client knows, or of nothing with disableGC', async () => {
    await node.addNamespace('tool');
    writeList('collected', { cniVersion: '1.1.0', more: { disableGC: true, cniVersions: ['1.0.0', '1.1.0'] } });
    expect(await cnitool('status', 'collected', 'tool')).toMatchObject({ status: 0 });
    expect(await cnitool('add', 'collected', 'tool')).toMatchObject({ status: 0 });
    expect(await cnitool('gc', 'collected', 'tool')).toMatchObject({ status: 0 });
    expect(node.records()).toHaveLength(1);
    writeList('collected', { cniVersion: '1.1.0' });
    expect(await cnitool('gc', 'collected', 'tool')).toMatchObject({ status: 0 });
    expect(node.records()).toEqual([]);
  });

  test('C14: with disableCheck nobody asks us', async () => {
    await node.addNamespace('tool');
    writeList('unchecked', { more: { disableCheck: true } });
    expect(await cnitool('add', 'unchecked', 'tool')).toMatchObject({ status: 0 });
    await node.ip('tool', 'addr flush dev eth0');
    expect(await cnitool('check', 'unchecked', 'tool')).toMatchObject({ status: 0 });
    expect(await cnitool('del', 'unchecked', 'tool')).toMatchObject({ status: 0 });
  });

  test('C11: capabilities that the configuration declares reach us', async () => {
    await node.addNamespace('tool');
    writeList('capable', { own: { capabilities: { portMappings: true, ips: true, mac: true, bandwidth: true } } });
    const capabilities = {
      portMappings: [{ hostPort: 8089, containerPort: PORT, protocol: 'tcp' }],
      ips: ['10.244.1.99/24'],
      mac: '02:00:00:00:99:99',
      aliases: ['ignored, for it is not declared'],
    };
    expect(await cnitool('add', 'capable', 'tool', { capabilities })).toMatchObject({ status: 0 });
    await node.startServer('tool');
    const words = ['tcp', NODE.ipv4, '8089', 'who', '--timeout', '2000'];
    expect(await node.probe('outside', ...words)).toMatchObject({ ok: true });
    expect(await node.ip('tool', 'addr show eth0')).toMatch(/02:00:00:00:99:99[\s\S]*10\.244\.1\.99\/32/);
    expect(await cnitool('del', 'capable', 'tool', { capabilities })).toMatchObject({ status: 0 });
  });
});

describe.runIf(BOTH)(`plugins behind ours${without}`, () => {
  test('C10: tuning, bandwidth and firewall take our result, and CHECK and DEL go through all', async () => {
    await node.addNamespace('chain');
    const sysctl = { 'net.ipv4.conf.eth0.log_martians': '1' };
    const rates = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 };
    writeList('chain', {
      behind: [
        { type: 'tuning', sysctl },
        { type: 'bandwidth', ...rates },
        { type: 'firewall', backend: 'iptables' },
      ],
    });
    const added = await cnitool('add', 'chain', 'chain');
    expect(added).toMatchObject({ status: 0 });
    const { interfaces, ips } = JSON.parse(added.stdout) as { interfaces: { name: string }[]; ips: object[] };
    expect(interfaces.slice(0, 2)).toMatchObject([{ name: expect.stringMatching(/^ist/) }, { name: 'eth0' }]);
    expect(ips).toHaveLength(2);
    const { stdout } = await node.exec('chain', ['cat', '/proc/sys/net/ipv4/conf/eth0/log_martians']);
    expect(stdout.trim()).toBe('1');
    expect(await cnitool('check', 'chain', 'chain')).toMatchObject({ status: 0, stderr: '' });
    expect(await cnitool('del', 'chain', 'chain')).toMatchObject({ status: 0 });
    expect(node.records()).toEqual([]);
  });
});

describe.runIf(BOTH)(`plugins before ours${without}`, () => {
  test("C10: ours and tuning behind bridge: ADD, CHECK and DEL go through all; the result is bridge's", async () => {
    await node.addNamespace('chain');
    const ranges = [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:244:1::/112' }]];
    const ipam = { type: 'host-local', dataDir: join(node.directory, 'behind'), ranges };
    writeList('before', {
      before: [{ type: 'bridge', bridge: 'cni0', isGateway: true, ipam }],
      own: { chained: true },
      behind: [{ type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } }],
    });
    const added = await cnitool('add', 'before', 'chain');
    expect(added).toMatchObject({ status: 0 });
    const { interfaces } = JSON.parse(added.stdout) as { interfaces: { name: string }[] };
    expect(interfaces.map(({ name }) => name)).toEqual(['cni0', expect.stringMatching(/^veth/), 'eth0']);
    expect(node.records()).toHaveLength(1);
    expect(await cnitool('check', 'before', 'chain')).toMatchObject({ status: 0, stderr: '' });
    expect(await cnitool('del', 'before', 'chain')).toMatchObject({ status: 0 });
    expect(node.records()).toEqual([]);
  });
});

describe.runIf(PLUGINS !== undefined)(`delegated IPAM${without}`, () => {
  const path = () => `${PLUGINS}`;
  const hostLocal = (ranges: string[][]) => ({
    config: {
      ipam: {
        type: 'host-local',
        dataDir: join(node.directory, 'ipam'),
        ranges: ranges.map((each) => each.map((subnet) => ({ subnet }))),
      },
    },
    cniVersion: '1.0.0',
    path: path(),
  });
  const ranges = [['10.244.1.64/29'], ['fd00:244:1::40/125']];

  /** Addresses that host-local holds. */
  async function held(): Promise<string[]> {
    const { stdout } = await capture(['ls', join(node.directory, 'ipam', 'isthmus')]);
    return stdout.split('\n').filter((name) => /^(10\.|fd00)/.test(name));
  }

  test('C13: host-local chooses the addresses, is checked, and gets them back', async () => {
    await node.addNamespace('local');
    const { status, json } = await node.cni('ADD', 'local', hostLocal(ranges));
    expect(status).toBe(0);
    expect(json.ips?.map(({ address }) => address)).toEqual(['10.244.1.66/32', 'fd00:244:1::42/128']);
    expect(await held()).toEqual(['10.244.1.66', 'fd00:244:1::42']);
    expect(await node.probe('local', 'tcp', OUTSIDE.ipv4, String(PORT), 'who')).toMatchObject({ ok: true });
    expect(await node.cni('CHECK', 'local', hostLocal(ranges))).toMatchObject({ status: 0, stdout: '' });
    expect(await node.cni('DEL', 'local', hostLocal(ranges))).toMatchObject({ status: 0, stdout: '' });
    expect(await held()).toEqual([]);
  });

  test('C13: CHECK hears that host-local has forgotten the address', async () => {
    await node.addNamespace('local');
    expect(await node.cni('ADD', 'local', hostLocal(ranges))).toMatchObject({ status: 0 });
    await capture(['rm', '-r', join(node.directory, 'ipam', 'isthmus')]);
    const { status, json } = await node.cni('CHECK', 'local', hostLocal(ranges));
    expect(status).toBe(1);
    expect(json.msg).toMatch(/host-local: Failed to find address/);
    expect(await node.cni('DEL', 'local', hostLocal(ranges))).toMatchObject({ status: 0 });
  });

  test('C13: an ADD that fails after it gives the address back', async () => {
    await node.addNamespace('local');
    await node.ip('local', 'link add eth0 type veth peer name other');
    expect(await node.cni('ADD', 'local', hostLocal(ranges))).toMatchObject({ status: 1, json: { code: 5 } });
    expect(await held()).toEqual([]);
    const foreign = await node.cni('ADD', 'local', hostLocal([['10.99.0.0/24']]));
    expect(foreign.json).toMatchObject({ code: 7, msg: expect.stringMatching(/outside the pod CIDRs/) });
    expect(await held()).toEqual([]);
    expect(node.records()).toEqual([]);
  });

  test('C13: its own refusal is passed on', async () => {
    await node.addNamespace('local');
    const { status, json } = await node.cni('ADD', 'local', hostLocal([['10.244.1.66/33']]));
    expect({ status, code: json.code }).toMatchObject({ status: 1 });
    expect(json.msg).toMatch(/invalid/i);
  });

  test('C13: static gives the address that the runtime asks for', async () => {
    await node.addNamespace('static');
    const config = {
      ipam: { type: 'static' },
      capabilities: { ips: true },
      runtimeConfig: { ips: ['10.244.1.88/24'] },
    };
    const { json } = await node.cni('ADD', 'static', { config, cniVersion: '1.0.0', path: path() });
    expect(json.ips?.map(({ address }) => address)).toEqual(['10.244.1.88/32']);
    expect(await node.cni('DEL', 'static', { config, cniVersion: '1.0.0', path: path() })).toMatchObject({ status: 0 });
  });
});
