// What a node does that kube-proxy is known for, besides Services themselves: first lists, restarts, settings of the kernel.
import { mkdirSync, renameSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start, until } from '../../src/testbed/command.js';
import { ISTHMUS } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { service } from '../support/node-manifests.js';
import { NODE } from '../support/node-world.js';

const VIP = '10.96.0.70';
const RESERVED = 'net.ipv4.ip_local_reserved_ports';
/** As in a container that has the node's network, but not the right to set it up. */
const READ_ONLY = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"';

let node: AgentNode;
beforeAll(async () => {
  node = await AgentNode.open();
  await node.ip('outside', `route add ${VIP}/32 via ${NODE.ipv4}`);
});
afterAll(() => node?.[Symbol.asyncDispose]());

const ask = async (): Promise<boolean> => (await node.probe('outside', 'tcp', VIP, '80', 'who', '--timeout', '700')).ok;
const services = (): unknown => ['services', 'backends', 'endpoints'].map((map) => node.entries(map));
const sysctl = async (name: string): Promise<string> => (await node.exec('node', ['sysctl', '-n', name])).stdout.trim();

describe('K7', () => {
  test('K7: before the first list there is no program, no map entry, and no pod', async () => {
    node.spawnAgent();
    expect(await until(() => node.log().some(({ msg }) => msg === 'ready'), 20_000)).toBe(true);
    expect(node.pins()).toEqual([]);
    await node.addNamespace('early');
    const added = await node.cni('ADD', 'early');
    expect([added.status === 0, await node.podDevices()]).toEqual([false, []]);
    await node.deleteNamespace('early');
  });

  test('K7: neither the end of the source nor a start without it takes anything away', async () => {
    node.writeManifests();
    await node.waitFor(({ state }) => state.attachments.length > 0, 20_000);
    const { ipv4 } = await node.addPod('a');
    await node.startServer('a');
    node.write('service.yaml', ...service('web', VIP, [ipv4]));
    expect(await until(ask, 5000)).toBe(true);
    const before = services();

    const away = `${node.manifests}-away`;
    renameSync(node.manifests, away);
    expect(await until(() => node.log().some(({ reason }) => String(reason).includes('ENOENT')), 8000)).toBe(true);
    expect([services(), await ask()]).toEqual([before, true]);

    await node.endAgent('SIGKILL');
    expect([services(), await ask()]).toEqual([before, true]);
    expect((await node.runAgent()).status).not.toBe(0);
    expect([services(), await ask()]).toEqual([before, true]);

    // A list of nothing is none either: without the node itself it cannot be whole.
    mkdirSync(node.manifests);
    node.spawnAgent();
    expect(await until(() => node.log().some(({ msg }) => msg === 'nothing to compile yet'), 20_000)).toBe(true);
    expect([services(), await ask()]).toEqual([before, true]);
    await node.endAgent('SIGTERM');
    expect([services(), await ask()]).toEqual([before, true]);
    await node.exec('node', ['rmdir', node.manifests]);
    renameSync(away, node.manifests);
    await node.startAgent();
    expect([services(), await ask()]).toEqual([before, true]);
  }, 90_000);
});

describe('K45', () => {
  test('K45: nothing is asked of connection tracking, and it sees no packet', async () => {
    expect(await ask()).toBe(true);
    const { stdout } = await node.exec('node', ['cat', '/proc/net/nf_conntrack']);
    expect(stdout.split('\n').filter((line) => line.includes(VIP))).toEqual([]);
    expect((await node.exec('node', ['nft', 'list', 'ruleset'])).stdout.trim()).toBe('');
  });

  test('K45: settings that are read-only and right are no hindrance, wrong ones are named', async () => {
    await node.endAgent('SIGTERM');
    await node.exec('node', ['sysctl', '-qw', `${RESERVED}=1`]);
    const argv = [
      'unshare',
      '-m',
      '--propagation',
      'slave',
      'sh',
      '-c',
      READ_ONLY,
      'sh',
      process.execPath,
      ISTHMUS,
      'agent',
      ...node.agentFlags(),
    ];
    const options = { netns: node.netns('node'), cgroup: node.cgroup, log: node.logFile };
    const pid = start(argv, options);
    try {
      expect(await until(async () => (await node.status())?.pid === pid, 30_000), node.tail()).toBe(true);
      const lines = node.log().filter(({ setting }) => setting !== undefined);
      expect(lines.map(({ setting, wanted }) => [setting, wanted])).toEqual([[RESERVED, '1,36864-65535']]);
      expect(await sysctl(RESERVED)).toBe('1');
      const { ipv4 } = await node.addPod('late');
      await node.startServer('late');
      node.write('service.yaml', ...service('web', VIP, [ipv4]));
      expect(await until(ask, 5000)).toBe(true);
    } finally {
      process.kill(pid, 'SIGTERM');
    }
    expect(await until(async () => (await node.status()) === undefined, 8000)).toBe(true);
    await node.startAgent();
    expect(await sysctl(RESERVED)).toBe('1,36864-65535');
  }, 90_000);
});

describe('K47', () => {
  test('K47: a KubeProxyConfiguration is no setting of the agent: it says so and changes nothing', async () => {
    const { status, stderr } = await node.runAgent({ config: '/etc/kube-proxy.yaml' });
    expect(status).not.toBe(0);
    expect(stderr).toContain("unknown option '--config'");
    expect(await ask()).toBe(true);
  });

  test('K47: another pod CIDR of the node is in force without a restart, and pods keep their addresses', async () => {
    const before = await node.status();
    const pod = node.records();
    node.writeNode('10.244.9.0/24', 'fd00:244:9::/64');
    const added = async (): Promise<string> => {
      await node.addNamespace('moved');
      const { status, json } = await node.cni('ADD', 'moved');
      if (status === 0) return json.ips?.[0]?.address ?? '';
      await node.deleteNamespace('moved');
      return '';
    };
    let address = '';
    const inForce = async (): Promise<boolean> => {
      address = await added();
      if (address.startsWith('10.244.9.')) return true;
      if (address !== '') await node.deletePod('moved');
      return false;
    };
    expect(await until(inForce, 10_000), `${address}\n${node.tail()}`).toBe(true);
    expect((await node.status())?.pid).toBe(before?.pid);
    expect(node.records()).toEqual(expect.arrayContaining(pod));
    expect(await ask()).toBe(true);
  }, 60_000);
});
