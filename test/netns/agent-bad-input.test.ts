// What a person or a machine can get wrong: the agent names it in one sentence, and what works goes on working.
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CommandResult } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { network, nodeObject, service } from '../support/node-manifests.js';
import { NODE, OUTSIDE, PORT, sawOf } from '../support/node-world.js';

const ROOT = join(import.meta.dirname, '../..');
let node: AgentNode;

beforeAll(async () => {
  node = await AgentNode.open();
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

/** The one sentence that the program ends with; nothing of a stack. */
function sentence({ status, stdout, stderr }: CommandResult): string {
  expect(status).toBeGreaterThan(0);
  expect(status).toBeLessThan(128);
  expect(stdout).toBe('');
  expect(stderr).not.toMatch(/^\s+at /m);
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

describe('an agent that cannot start says why, ends with a code, and leaves nothing attached', () => {
  beforeEach(() => {
    rmSync(node.stateDir, { recursive: true, force: true });
  });

  test.each([
    [
      'no source directory',
      { source: '/nonexistent' },
      /^error: cannot read the source directory \/nonexistent: ENOENT/,
    ],
    ['an unknown device', { device: 'eth9' }, /^error: no uplink: there is no device 'eth9'; devices: lo, eth0;/],
    ['no cgroup', { cgroup: '/tmp' }, /^error: cgroup '\/tmp' is no cgroup; nothing was changed/],
    ['a flow table of no size', { 'flow-entries': 'many' }, /^error: flow-entries 'many' is not a number from 2/],
    ['an empty name', { node: '' }, /^error: node is empty/],
    ['a state directory that is too deep', { 'state-dir': `/tmp/${'x'.repeat(100)}` }, /is longer than 96 bytes/],
    ['a state directory that is a file', { 'state-dir': '/etc/passwd' }, /^error: .*\/etc\/passwd/],
  ] as const)('%s', async (_name, flags, wanted) => {
    expect(sentence(await node.runAgent(flags))).toMatch(wanted);
    expect(node.pins()).toEqual([]);
  });

  test('a log level of the environment that is none', async () => {
    const env = { ...process.env, ISTHMUS_LOG_LEVEL: 'loud' };
    expect(sentence(await node.runAgent({}, { env }))).toBe(
      "error: log-level 'loud' is none of trace, debug, info, warn, error, fatal",
    );
  });

  test('no privileges', async () => {
    const result = await node.runAgent({}, { prefix: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] });
    expect(sentence(result)).toMatch(/^error: the agent needs root .*; nothing was changed; run it as root$/);
    expect(result.status).toBe(4);
  });
});

describe('a datapath object that is not of the installed sources', () => {
  let tree: string;

  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), 'ist-tree-'));
    mkdirSync(join(tree, 'build'));
    for (const path of ['bpf', 'build/src', 'build/bpf', 'package.json']) {
      cpSync(join(ROOT, path), join(tree, path), { recursive: true });
    }
    for (const path of ['node_modules', 'build/native']) symlinkSync(join(ROOT, path), join(tree, path));
    writeFileSync(join(tree, 'bpf/lib/names.h'), '\n/* changed */\n', { flag: 'a' });
  });

  afterAll(() => {
    rmSync(tree, { recursive: true, force: true });
  });

  test('is not used when compiling is switched off', async () => {
    const said = sentence(await node.runAgent({ compile: 'never' }, { tree }));
    expect(said).toMatch(
      /datapath\.bpf\.o was made from other sources .* compiling is switched off; run `npm run build`/,
    );
  });

  test('and cannot be replaced without a compiler', async () => {
    const empty = join(tree, 'empty');
    mkdirSync(empty);
    const said = sentence(await node.runAgent({}, { tree, prefix: ['env', `PATH=${empty}`] }));
    expect(said).toMatch(/cannot compile .*: none of clang-19, .* is in PATH; install clang 14 or newer/);
  });

  test('nor by sources that do not compile', async () => {
    const path = join(tree, 'bpf/lib/names.h');
    cpSync(path, `${path}.good`);
    writeFileSync(path, '\nthis is not C\n', { flag: 'a' });
    const { status, stderr } = await node.runAgent({}, { tree });
    cpSync(`${path}.good`, path);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^error: clang.* refused .*datapath\.bpf\.c; no object was made:\n[\s\S]*names\.h:\d+/m);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test('but is compiled anew where that is allowed', async () => {
    node.writeManifests();
    node.spawnAgent({ source: node.manifests }, tree);
    const status = await node.waitFor(({ state }) => state.attachments.length > 0, 30_000);
    expect(node.log().map(({ msg }) => msg)).toContain('datapath compiled');
    expect(status.pid).toBe(node.pid);
    await node.endAgent('SIGTERM');
  });
});

describe('manifests that are wrong while the agent runs', () => {
  let pod: { ipv4: string; ipv6: string };

  beforeAll(async () => {
    node.writeManifests();
    await node.startAgent({});
    pod = await node.addPod('a');
    await node.startServer('a');
  });

  const who = (to = OUTSIDE.ipv4, port = PORT) => node.probe('a', 'tcp', to, String(port), 'who', '--timeout', '1000');
  const problems = async () => (await node.status())?.state.problems ?? [];

  async function problemAbout(text: RegExp) {
    const { state } = await node.waitFor((status) => status.state.problems.some(({ reason }) => text.test(reason)));
    return state.problems.find(({ reason }) => text.test(reason));
  }

  async function untilGood(): Promise<void> {
    await expect.poll(problems, { timeout: 5000 }).toEqual([]);
  }

  test('broken YAML is named with file and line; good objects are applied, beside it and in the same file', async () => {
    node.write('good.yaml', ...service('web', '10.96.0.1', [pod.ipv4]));
    await expect.poll(() => who('10.96.0.1', 80), { timeout: 5000 }).toMatchObject({ ok: true });
    node.write('broken.yaml', ...service('two', '10.96.0.2', [pod.ipv4]), 'kind: Service\nmetadata: [\n');
    expect(await problemAbout(/not valid YAML/)).toMatchObject({ where: expect.stringMatching(/^broken\.yaml:\d+$/) });
    expect(await who('10.96.0.2', 80)).toMatchObject({ ok: true });
    rmSync(join(node.manifests, 'broken.yaml'));
    await untilGood();
    expect(await who('10.96.0.2', 80)).toMatchObject({ ok: false });
    expect(await who('10.96.0.1', 80)).toMatchObject({ ok: true });
  });

  test('a pod CIDR that overlaps another node is refused by name, and this node goes on', async () => {
    node.write('other.yaml', nodeObject('n2', ['192.0.2.12'], ['10.244.1.128/25']));
    expect(await problemAbout(/overlaps/)).toMatchObject({
      where: 'other.yaml:1',
      object: 'Node n2',
      reason: 'its pod CIDR 10.244.1.128/25 overlaps 10.244.1.0/24 of Node n1',
    });
    expect(await who()).toMatchObject({ ok: true });
    rmSync(join(node.manifests, 'other.yaml'));
    await untilGood();
  });

  test('more pod CIDRs than the datapath has room for are refused as a whole; the last good network stays', async () => {
    const podCIDRs = ['10.244.0.0/16', ...Array.from({ length: 8 }, (_, index) => `10.${index + 1}.0.0/16`)];
    node.write('network.yaml', network({ ipv4: { podCIDRs } }));
    expect(await problemAbout(/pod CIDRs/)).toMatchObject({
      where: expect.stringMatching(/^network\.yaml:\d+$/),
      object: 'ClusterNetwork default',
      reason: 'spec: 10 pod CIDRs, but at most 8 of both families together',
      inForce: 'the last good state of ClusterNetwork default',
    });
    expect(sawOf(await who()).address).toBe(NODE.ipv4);
    node.writeNetwork();
    await untilGood();
  });

  test('without a ClusterNetwork everything stays, a problem says so, and pods wait', async () => {
    rmSync(join(node.manifests, 'network.yaml'));
    expect(await problemAbout(/ClusterNetwork/)).toMatchObject({ inForce: 'the last good state' });
    expect(sawOf(await who()).address).toBe(NODE.ipv4);
    await node.addNamespace('waits');
    expect(await node.cni('ADD', 'waits')).toMatchObject({ status: 1, json: { code: 11 } });
    node.writeNetwork();
    await untilGood();
    expect(await node.cni('ADD', 'waits')).toMatchObject({ status: 0 });
    await node.deletePod('waits');
  });

  test('a source directory that vanishes is a problem, and is read again when it is back', async () => {
    const { manifests } = node;
    cpSync(manifests, `${manifests}.kept`, { recursive: true });
    rmSync(manifests, { recursive: true });
    expect(await problemAbout(/cannot be read/)).toMatchObject({ where: manifests });
    expect(await who()).toMatchObject({ ok: true });
    cpSync(`${manifests}.kept`, manifests, { recursive: true });
    await untilGood();
  });

  test('a pod whose block lies outside a smaller port range is refused aloud, never untranslated', async () => {
    for (const name of ['b', 'c']) await node.addPod(name);
    node.writeNetwork({ nat: { ports: '60000-60255', blockSize: 128 } });
    const problem = await problemAbout(/port block/);
    expect(problem?.object).toMatch(/^Pod test\/[bc]$/);
    const outside = node.startProbe('b', 'udp', OUTSIDE.ipv4, String(PORT), 'who', '--timeout', '500');
    expect(await outside.report).toMatchObject({ ok: false });
    expect(sawOf(await who()).port).toBeGreaterThanOrEqual(60_128);
    node.writeNetwork();
    await untilGood();
    expect(await node.probe('b', 'udp', OUTSIDE.ipv4, String(PORT), 'who')).toMatchObject({ ok: true });
  });
});
