// Questions about the past, on journals that an agent left: answers, reasons, exit codes, exports.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Journal } from '../../src/agent/journal.js';
import { parseMoment } from '../../src/cli/time.js';
import type { BlockGrant } from '../../src/model/block-grant.js';
import { runCli, runUnprivileged } from '../support/cli.js';
import { agentState, createStateDir, type StateDir } from '../support/fake-agent.js';
import { aGrant, firstPort } from '../support/grants.js';

const TEN = Date.parse('2026-01-10T10:00:00.000Z');
const HOUR = 3_600_000;
const NODE = aGrant(0, '', {
  addresses: [{ inside: '192.0.2.11', outside: '192.0.2.11' }],
  owner: { kind: 'Node', name: 'n1' },
});

/** 10:00 the node and web-0; 11:00 web-0 ends; 11:02 web-1 has its block and keeps it. */
function writeHistory(directory: string): void {
  let now = TEN;
  const journal = new Journal({ directory, maxBytes: 1 << 26, maxAgeDays: 36_500, now: () => now });
  const set = (hours: number, grants: readonly BlockGrant[]) => {
    now = TEN + hours * HOUR;
    journal.grant(grants);
    journal.releaseOthers(grants);
  };
  set(0, [NODE, aGrant(1, 'web-0')]);
  set(1, [NODE]);
  set(1 + 1 / 30, [NODE, aGrant(1, 'web-1')]);
  journal.close();
}

function withHistory(): StateDir {
  const dir = createStateDir();
  dir.writeState(agentState());
  writeHistory(join(dir.path, 'journal'));
  return dir;
}

const who = (dir: StateDir, ...args: readonly string[]) => runCli('nat', 'who', ...args, '--state-dir', dir.path);
const WEB = `192.0.2.11:${firstPort(1) + 7}`;

describe('nat who --at', () => {
  test('names the pod that had the port then, and from when to when', async () => {
    using dir = withHistory();
    const { status, stdout } = await who(dir, WEB, '--at', '2026-01-10T10:30:00Z', '-o', 'json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      apiVersion: 'isthmus.dev/v1',
      kind: 'NatOwnerList',
      items: [
        {
          node: 'n1',
          owner: { kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'uid-web-0' },
          outside: { address: '192.0.2.11', port: 37127 },
          ports: { first: 37120, last: 37375 },
          evidence: 'journal',
          inside: { address: '10.244.1.1' },
          clusterID: 'a',
          containerID: 'container-web-0',
          since: '2026-01-10T10:00:00.000Z',
          until: '2026-01-10T11:00:00.000Z',
        },
      ],
    });
  });

  test('prints a table; what lasts has no end', async () => {
    using dir = withHistory();
    const { stdout } = await who(dir, `[2001:db8::11]:${firstPort(1)}`, '--at', '2026-01-10T13:00:00+01:00');
    expect(stdout).toBe(
      'OWNER        UID         NODE   PORTS         INSIDE          SINCE                      UNTIL\n' +
        'shop/web-1   uid-web-1   n1     37120-37375   fd00:244:1::1   2026-01-10T11:02:00.000Z   -\n',
    );
  });

  test('takes how long ago', async () => {
    using dir = withHistory();
    const { status, stdout } = await who(dir, WEB, '--at', '1s ago', '-o', 'jsonl');
    expect([status, JSON.parse(stdout)]).toMatchObject([0, { owner: { name: 'web-1' } }]);
  });

  test('knows the node’s own block', async () => {
    using dir = withHistory();
    const { stdout } = await who(dir, '192.0.2.11:36864', '--at', '2026-01-10T10:30:00Z', '--no-headers');
    expect(stdout).toMatch(/^\(node n1\) +- +n1 /);
  });

  test('says that a remote and a protocol do not narrow the answer', async () => {
    using dir = withHistory();
    const { status, stderr } = await who(dir, WEB, '--at', '2026-01-10T10:30:00Z', '--proto', 'tcp');
    expect(status).toBe(0);
    expect(stderr).toContain('note: the journal keeps owners of blocks, not flows');
  });

  test.each([
    ['2026-01-10T11:01:00Z', 'before, pod shop/web-0 (ports 37120-37375) had it until 2026-01-10T11:00:00.000Z'],
    ['2026-01-10T11:01:00Z', 'after, pod shop/web-1 (ports 37120-37375) had it from 2026-01-10T11:02:00.000Z on'],
    [
      '2026-01-10T09:00:00Z',
      'the journal of node n1 begins at 2026-01-10T10:00:00.000Z, later than that; after, pod shop/web-0',
    ],
  ])('at %s nobody had it: exit code 5 and %s', async (time, sentence) => {
    using dir = withHistory();
    const { status, stdout, stderr } = await who(dir, WEB, '--at', time);
    expect({ status, stdout }).toEqual({ status: 5, stdout: '' });
    expect(stderr).toContain(`nobody is known to have been behind ${WEB} at ${time.replace('Z', '.000Z')}`);
    expect(stderr).toContain(sentence);
  });

  test.each([
    ['192.0.2.11:65000', 'begins at 2026-01-10T10:00:00.000Z and knows no owner of this port'],
    ['192.0.2.99:37120', 'begins at 2026-01-10T10:00:00.000Z and knows blocks of 192.0.2.11, 2001:db8::11 only'],
  ])('%s was never anybody’s: %s', async (query, sentence) => {
    using dir = withHistory();
    const { status, stderr } = await who(dir, query, '--at', '2026-01-10T10:30:00Z');
    expect(status).toBe(5);
    expect(stderr).toContain(sentence);
  });

  test('reads a journal that was copied from its node, without any state', async () => {
    using dir = withHistory();
    const { status, stdout } = await runCli(
      ...[
        'nat',
        'who',
        WEB,
        '--at',
        '2026-01-10T10:30:00Z',
        '--no-headers',
        '--journal-dir',
        join(dir.path, 'journal'),
      ],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^shop\/web-0 +uid-web-0 +n1 /);
  });

  test('follows the setting of the agent', async () => {
    using dir = createStateDir();
    const directory = join(dir.path, 'elsewhere');
    writeHistory(directory);
    dir.writeState(agentState({ settings: [{ name: 'journalDir', value: directory, origin: 'flag' }] }));
    expect((await who(dir, WEB, '--at', '2026-01-10T10:30:00Z')).status).toBe(0);
  });

  test('without a journal ends with 3, without permission with 4', async () => {
    using dir = createStateDir();
    dir.writeState(agentState());
    const missing = await who(dir, WEB, '--at', '1h');
    expect(missing.status).toBe(3);
    expect(missing.stderr).toContain(`cannot read the journal of block grants ${dir.path}/journal: there is none`);
    writeHistory(join(dir.path, 'journal'));
    chmodSync(dir.path, 0o755);
    chmodSync(join(dir.path, 'journal'), 0o700);
    const denied = await runUnprivileged('nat', 'who', WEB, '--at', '1h', '--journal-dir', join(dir.path, 'journal'));
    expect(denied.status).toBe(4);
    expect(denied.stderr).toContain('run as root');
  });

  test.each([
    [['--at', 'yesterday'], "'yesterday' is not a time: write it as 2026-11-21T12:00:00Z, or how long ago"],
    [['--at', '2999-01-01T00:00:00Z'], 'lies in the future'],
    [['--journal-dir', '/nowhere'], '--journal-dir needs --at'],
  ])('%j is a usage error', async (args, sentence) => {
    const { status, stderr } = await runCli('nat', 'who', WEB, ...args);
    expect(status).toBe(2);
    expect(stderr).toContain(sentence);
  });
});

describe('a time', () => {
  const now = Date.parse('2026-11-21T12:00:00.500Z');

  test.each([
    ['2026-11-21T11:00:00Z', '2026-11-21T11:00:00.000Z', 999],
    ['2026-11-21 11:00:00z', '2026-11-21T11:00:00.000Z', 999],
    ['2026-11-21T11:00:00.250+02:00', '2026-11-21T09:00:00.250Z', 0],
    ['90s', '2026-11-21T11:58:30.000Z', 999],
    ['1.5h ago', '2026-11-21T10:30:00.000Z', 999],
    ['2d ago', '2026-11-19T12:00:00.000Z', 999],
    ['1w', '2026-11-14T12:00:00.000Z', 999],
  ])('%s is %s and %d ms', (text, from, span) => {
    const moment = parseMoment(text, now);
    expect([new Date(moment.from).toISOString(), moment.to - moment.from]).toEqual([from, span]);
  });

  test.each(['', '3', '3y', '2026-11-21', '2026-13-41T00:00:00Z', '-3h', 'now'])('is not %j', (text) => {
    expect(() => parseMoment(text, now)).toThrow('is not a time');
  });
});

describe('journal export', () => {
  const lines = (stdout: string) =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  test('prints every event, oldest first', async () => {
    using dir = withHistory();
    const { status, stdout } = await runCli('journal', 'export', '--state-dir', dir.path);
    expect(status).toBe(0);
    expect(lines(stdout)).toMatchObject([
      { event: 'granted', owner: { kind: 'Node' } },
      { event: 'granted', owner: { name: 'web-0' } },
      { event: 'released', owner: { name: 'web-0' } },
      { event: 'granted', owner: { name: 'web-1' } },
    ]);
  });

  test('has the names and values of IPFIX', async () => {
    using dir = withHistory();
    const range = ['--since', '2026-01-10T11:00:00Z', '--until', '2026-01-10T11:00:00Z'];
    const { stdout } = await runCli('journal', 'export', '--format', 'ipfix-json', ...range, '--state-dir', dir.path);
    const common = {
      observationTimeMilliseconds: TEN + HOUR,
      natEvent: 17,
      observationDomainName: 'n1',
      internalAddressRealm: 'a',
      portRangeStart: 37120,
      portRangeEnd: 37375,
      portRangeStepSize: 1,
      portRangeNumPorts: 256,
      virtualStationName: 'shop/web-0',
      virtualStationUUID: 'uid-web-0',
    };
    expect(lines(stdout)).toEqual([
      { ...common, sourceIPv4Address: '10.244.1.1', postNATSourceIPv4Address: '192.0.2.11' },
      { ...common, sourceIPv6Address: 'fd00:244:1::1', postNATSourceIPv6Address: '2001:db8::11' },
    ]);
  });

  test('an allocation is event 16, and the node has no station', async () => {
    using dir = withHistory();
    const args = [
      '--format',
      'ipfix-json',
      '--until',
      '2026-01-10T10:00:00Z',
      '--journal-dir',
      join(dir.path, 'journal'),
    ];
    const [first] = lines((await runCli('journal', 'export', ...args)).stdout);
    expect(first).toMatchObject({ natEvent: 16, sourceIPv4Address: '192.0.2.11', portRangeStart: 36864 });
    expect(first).not.toHaveProperty('virtualStationName');
  });
});
