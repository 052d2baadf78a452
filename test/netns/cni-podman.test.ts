// podman with its CNI backend, which is gone in version 5: a container of a real runtime, wired by us.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capture } from '../../src/testbed/command.js';
import { PROBE } from '../../src/testbed/files.js';
import { AgentNode } from '../support/agent-node.js';
import { findPlugins, findProgram, OWN_PLUGINS } from '../support/cni-clients.js';
import { NODE, OUTSIDE, PORT } from '../support/node-world.js';

const PODMAN = findProgram('podman');
const needed = {
  podman: PODMAN,
  conmon: findProgram('conmon'),
  runc: findProgram('runc'),
  loopback: findPlugins('loopback'),
};
const missing = Object.entries(needed).flatMap(([name, path]) => (path === undefined ? [name] : []));
const without = missing.length === 0 ? '' : `; skipped: not here: ${missing.join(', ')}`;
const HOST_PORT = 8090;

let node: AgentNode;

/** Nothing of it is the machine's: storage, state and configuration are the test's. */
function podman(...words: string[]) {
  const root = join(node.directory, 'podman');
  const own = ['--root', join(root, 'storage'), '--runroot', join(root, 'run'), '--tmpdir', join(root, 'tmp')];
  const argv = [PODMAN ?? '', ...own, '--storage-driver', 'vfs', '--events-backend', 'none', ...words];
  const env = {
    PATH: process.env.PATH,
    HOME: root,
    CONTAINERS_CONF: join(root, 'containers.conf'),
    ISTHMUS_SOCKET: node.socket,
  };
  return capture(argv, { env, netns: node.netns('node'), cgroup: node.cgroup, timeout: 60_000 });
}

function writeConfiguration(): void {
  const root = join(node.directory, 'podman');
  for (const name of ['net.d', 'rootfs/tmp']) mkdirSync(join(root, name), { recursive: true });
  const capabilities = { portMappings: true, ips: true, mac: true };
  const list = { cniVersion: '1.0.0', name: 'island', plugins: [{ type: 'isthmus-cni', capabilities }] };
  writeFileSync(join(root, 'net.d/island.conflist'), JSON.stringify(list));
  const lines = [
    '[containers]',
    'default_ulimits=["nofile=1024:1024","nproc=1000:1000"]',
    '[engine]',
    'runtime="runc"',
    'cgroup_manager="cgroupfs"',
    `conmon_path=["${needed.conmon}"]`,
    '[network]',
    'network_backend="cni"',
    `network_config_dir="${join(root, 'net.d')}"`,
    `cni_plugin_dirs=["${OWN_PLUGINS}","${needed.loopback}"]`,
  ];
  writeFileSync(join(root, 'containers.conf'), `${lines.join('\n')}\n`);
}

describe.runIf(missing.length === 0)(`podman${without}`, () => {
  beforeAll(async () => {
    node = await AgentNode.open();
    node.writeManifests();
    await node.startAgent();
    writeConfiguration();
  });

  afterAll(async () => {
    await podman('rm', '--all', '--force', '--time', '0');
    await node?.[Symbol.asyncDispose]();
  });

  test('C1 C4 C5 C11: a container with a published port and an address of its own is wired, reached and removed', async () => {
    const serve = ['--rootfs', join(node.directory, 'podman/rootfs'), '/probe', 'serve', '--port', String(PORT)];
    const network = ['--network', 'island', '--ip', '10.244.1.50', '-p', `${HOST_PORT}:${PORT}`];
    const mounts = ['-v', `${PROBE}:/probe:ro`];
    const limits = ['--security-opt', 'seccomp=unconfined', '--pids-limit', '0'];
    const started = await podman('run', '-d', '--name', 'web', ...limits, ...network, ...mounts, ...serve);
    expect(started).toMatchObject({ status: 0 });
    expect(node.records()).toHaveLength(1);
    const ask = (from: string, address: string, port: number) =>
      node.probe(from, 'tcp', address, String(port), 'who', '--timeout', '2000');
    await expect.poll(async () => (await ask('node', '10.244.1.50', PORT)).ok, { timeout: 10_000 }).toBe(true);
    expect(await ask('outside', NODE.ipv4, HOST_PORT)).toMatchObject({ ok: true });
    expect(await ask('outside', NODE.ipv6, HOST_PORT)).toMatchObject({ ok: true });
    const out = await podman('exec', 'web', '/probe', 'tcp', OUTSIDE.ipv4, String(PORT), 'who');
    expect(JSON.parse(out.stdout)).toMatchObject({ ok: true });
    expect(await podman('rm', '--force', '--time', '0', 'web')).toMatchObject({ status: 0 });
    expect(node.records()).toEqual([]);
    expect(await node.podDevices()).toEqual([]);
  });
});
