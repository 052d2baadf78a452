// The built program as people call it: exit codes, what goes to which stream, and sentences for mistakes.
import { chmodSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runCli, runUnprivileged } from '../support/cli.js';
import { agentState, agentStatus, answering, createStateDir, startFakeAgent } from '../support/fake-agent.js';
import { anEndpoint } from '../support/objects.js';

const SETTING = { name: 'node', value: 'n1', origin: 'flag' };

describe('help', () => {
  test('lists the nouns on stdout', async () => {
    const { status, stdout, stderr } = await runCli('--help');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const noun of ['status', 'endpoint', 'flow', 'nat', 'map', 'drop', 'agent'])
      expect(stdout).toContain(`\n  ${noun} `);
  });

  test.each([
    ['nat', 'who', '--help'],
    ['help', 'nat', 'who'],
  ])('%s %s %s shows the options of the verb', async (...args) => {
    const { status, stdout } = await runCli(...args);
    expect(status).toBe(0);
    expect(stdout).toContain('--remote');
    expect(stdout).toContain('--output');
  });
});

describe('usage errors end with 2', () => {
  test.each([
    [['nonsense'], "unknown command 'nonsense'"],
    [['flow'], 'Usage: isthmus flow'],
    [['flow', 'list', '--nonsense'], "unknown option '--nonsense'"],
    [['flow', 'list', '--limit', '0'], 'not a whole number above 0'],
    [['flow', 'list', '--pod', 'a/b/c'], "'a/b/c' is not a pod"],
    [['flow', 'list', '-o', 'xml'], 'Allowed choices are table, wide, json, jsonl, yaml'],
    [['nat', 'who'], "missing required argument 'addr:port'"],
    [['nat', 'who', '203.0.113.7'], "'203.0.113.7' has no port: write 203.0.113.7:PORT"],
    [['nat', 'who', '203.0.113.7:1', '--proto', 'gre'], 'Allowed choices are tcp, udp, sctp, icmp'],
    [['nat', 'who', '203.0.113.7:1', '--remote', 'x'], "'x' is not an IP address"],
    [['nat', 'list', '--address', '203.0.113.7:1'], '--address takes an address without a port'],
    [['drop', 'list', '--watch', '-o', 'json'], 'use -o jsonl instead of -o json'],
  ])('%j', async (args, sentence) => {
    const { status, stdout, stderr } = await runCli(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(sentence);
  });
});

describe('without an agent and without state', () => {
  test.each(['status', 'flow list', 'nat who 192.0.2.1:1', 'map list', 'config show'])(
    '%s ends with 3',
    async (command) => {
      using dir = createStateDir();
      const { status, stdout, stderr } = await runCli(...command.split(' '), '--state-dir', dir.path);
      expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
      expect(stderr).toContain(`no agent answers at ${dir.path}/agent.sock`);
      expect(stderr).toContain('start one with `isthmus agent');
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    },
  );
});

test('without permission for the state directory a command ends with 4', async () => {
  using dir = createStateDir();
  dir.writeState(agentState());
  chmodSync(dir.path, 0);
  const { status, stderr } = await runUnprivileged('flow', 'list', '--state-dir', dir.path);
  expect(status).toBe(4);
  expect(stderr).toContain(`no permission to use the agent's socket ${dir.path}/agent.sock`);
});

describe('with the agent down', () => {
  test('a list is read from disk, and a note says so', async () => {
    using dir = createStateDir();
    dir.writeState(agentState({ settings: [SETTING] }));
    const { status, stdout, stderr } = await runCli('config', 'show', '--origin', '--state-dir', dir.path);
    expect(status).toBe(0);
    expect(stdout).toBe('NAME   VALUE   ORIGIN\nnode   n1      flag\n');
    expect(stderr).toBe('note: the agent of node n1 is down; reading pinned maps in /nonexistent/bpf\n');
  });

  test('maps that are not there end with 3 and say what to check', async () => {
    using dir = createStateDir();
    dir.writeState(agentState());
    const { status, stdout, stderr } = await runCli('flow', 'list', '--state-dir', dir.path);
    expect({ status, stdout }).toEqual({ status: 3, stdout: '' });
    expect(stderr).toContain('cannot read the pinned maps of node n1 in /nonexistent/bpf: there are none');
  });

  test('status prints its line and ends with 3', async () => {
    using dir = createStateDir();
    dir.writeState(agentState());
    const { status, stdout, stderr } = await runCli('status', '-o', 'json', '--state-dir', dir.path);
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      apiVersion: 'isthmus.dev/v1',
      kind: 'StatusList',
      items: [{ node: 'n1', health: 'down', agent: { phase: 'down' } }],
    });
    expect(stderr).toContain('n1: the agent is down');
  });
});

describe('with the agent up', () => {
  test('an empty list is no error and says so on stderr', async () => {
    using dir = createStateDir();
    await using _agent = await startFakeAgent(dir.path, answering(agentStatus(agentState())));
    for (const command of [
      ['endpoint', 'list'],
      ['config', 'show'],
    ]) {
      const { status, stdout, stderr } = await runCli(...command, '--state-dir', dir.path);
      expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
      expect(stderr).toMatch(/^No \w+\.\n$/);
    }
  });

  test('status without pinned maps is unhealthy and says why', async () => {
    using dir = createStateDir();
    await using _agent = await startFakeAgent(dir.path, answering(agentStatus(agentState())));
    const { status, stdout, stderr } = await runCli('status', '--no-headers', '--state-dir', dir.path);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^n1 +degraded +running /);
    expect(stderr).toBe('n1: the pinned maps in /nonexistent/bpf cannot be read\n');
  });

  test('status is healthy when everything is', async () => {
    using dir = createStateDir();
    const state = agentState({ bpffs: dir.pinFakeMap('flows') });
    await using _agent = await startFakeAgent(dir.path, answering(agentStatus(state)));
    const { status, stderr } = await runCli('status', '--wait', '--state-dir', dir.path);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('a refused object is a reason, and waiting for health ends at the timeout', async () => {
    using dir = createStateDir();
    const problem = { where: 'web.yaml:3', object: 'Service shop/web', reason: 'no ports', inForce: 'nothing of it' };
    const state = agentState({ bpffs: dir.pinFakeMap('flows'), problems: [problem] });
    await using _agent = await startFakeAgent(dir.path, answering(agentStatus(state)));
    const { status, stderr } = await runCli('status', '--wait', '--timeout', '1', '--state-dir', dir.path);
    expect(status).toBe(1);
    expect(stderr).toContain('waiting: n1: web.yaml:3: Service shop/web is refused: no ports; in force: nothing of it');
  });

  test('a node that is not here ends with 5 and names those that are', async () => {
    using dir = createStateDir();
    await using _agent = await startFakeAgent(dir.path, answering(agentStatus(agentState())));
    const { status, stderr } = await runCli('--node', 'n9', 'config', 'show', '--state-dir', dir.path);
    expect({ status, stderr }).toEqual({ status: 5, stderr: "error: no dataplane of node 'n9' here: there is n1\n" });
  });

  test('a pod that is not here ends with 5', async () => {
    using dir = createStateDir();
    const status5 = agentStatus(agentState(), { endpoints: [anEndpoint()] });
    await using _agent = await startFakeAgent(dir.path, answering(status5));
    const { status, stderr } = await runCli('nat', 'list', '--pod', 'shop/web-9', '--state-dir', dir.path);
    expect(status).toBe(5);
    expect(stderr).toContain('no pod shop/web-9 on node n1');
  });

  test('global options may stand before the noun or behind the verb', async () => {
    using dir = createStateDir();
    await using _agent = await startFakeAgent(dir.path, answering(agentStatus(agentState({ settings: [SETTING] }))));
    const before = await runCli('-o', 'yaml', '--state-dir', dir.path, 'config', 'show');
    const behind = await runCli('config', 'show', '--state-dir', dir.path, '-o', 'yaml');
    expect(before).toEqual(behind);
    expect(before.stdout).toBe(
      'apiVersion: isthmus.dev/v1\nkind: SettingList\nitems:\n  - node: n1\n    name: node\n    value: n1\n    origin: flag\n',
    );
  });
});
