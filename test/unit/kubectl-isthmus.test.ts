// `kubectl isthmus` as an operator's shell runs it, with a kubectl that answers from files: which agents are asked what,
// and what becomes of their answers. test/cluster has it on a real API server.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const ROOT = import.meta.dirname.replace(/(\/build)?\/test\/.*$/, '');
const PLUGIN = `${ROOT}/bin/kubectl-isthmus`;
/** What the plugin may use beside kubectl: POSIX utilities, and mktemp. */
const UTILITIES = ['awk', 'cat', 'cut', 'grep', 'mktemp', 'paste', 'rm', 'sh', 'sort', 'wc'];

/** Options up to the verb are of the connection; `get` prints the pods, `exec` runs the script of the pod with the command's words. */
const KUBECTL = `#!/bin/sh
printf '%s\\n' "$*" >>"$WORLD/calls"
while [ "\${1#-}" != "$1" ]; do shift 2; done
verb=$1
shift
if [ -e "$WORLD/refuse-$verb" ]; then cat "$WORLD/refuse-$verb" >&2; exit 1; fi
[ "$verb" = exec ] || { cat "$WORLD/pods"; exit; }
pod=$1
while [ "$1" != -- ]; do shift; done
shift 2
sh "$WORLD/$pod.sh" "$@"
status=$?
[ $status -eq 0 ] || [ $status -eq 99 ] || echo "command terminated with exit code $status" >&2
[ $status -ne 99 ] || exit 1
exit $status
`;

let world: string;

beforeEach(() => {
  world = mkdtempSync(join(tmpdir(), 'ist-kubectl-'));
  mkdirSync(`${world}/bin`);
  for (const name of UTILITIES) {
    symlinkSync(execFileSync('which', [name], { encoding: 'utf8' }).trim(), `${world}/bin/${name}`);
  }
  writeFileSync(`${world}/bin/kubectl`, KUBECTL, { mode: 0o755 });
  writeFileSync(`${world}/pods`, '');
  agent('n2', '192.0.2.12,2001:db8:1::12');
  agent('n1', '192.0.2.11,2001:db8:1::11');
});
afterEach(() => rmSync(world, { recursive: true }));

interface AgentFacts {
  readonly running?: boolean;
  /** What its pod does with a command's words. */
  readonly script?: string;
}

function agent(node: string, addresses: string, { running = true, script = 'echo "$@"' }: AgentFacts = {}): void {
  const started = running ? '2026-01-02T03:04:05Z' : '';
  writeFileSync(`${world}/pods`, `${node}|isthmus-${node}|${addresses},|${started}|\n`, { flag: 'a' });
  answer(node, script);
}

function answer(node: string, script: string): void {
  writeFileSync(`${world}/isthmus-${node}.sh`, script);
}

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function plugin(words: readonly string[], how: { env?: Record<string, string>; input?: string } = {}): Outcome {
  const env = { PATH: `${world}/bin`, WORLD: world, TMPDIR: world, ...how.env };
  const { status, stdout, stderr } = spawnSync('/bin/sh', [PLUGIN, ...words], {
    env,
    encoding: 'utf8',
    input: how.input ?? '',
  });
  return { status, stdout, stderr };
}

function calls(): string[] {
  return existsSync(`${world}/calls`) ? readFileSync(`${world}/calls`, 'utf8').trimEnd().split('\n') : [];
}

describe('which nodes', () => {
  test('a command is asked of all nodes, with a heading for each, in their order', () => {
    expect(plugin(['status', '-o', 'wide'])).toEqual({
      status: 0,
      stdout: '==> n1 <==\nstatus -o wide\n\n==> n2 <==\nstatus -o wide\n',
      stderr: '',
    });
  });

  test('JSON has no headings, and YAML has one document a node', () => {
    expect(plugin(['status', '-o', 'json']).stdout).toBe('status -o json\nstatus -o json\n');
    expect(plugin(['-ojsonl', 'status']).stdout).toBe('-ojsonl status\n-ojsonl status\n');
    expect(plugin(['status', '--output=yaml']).stdout).toBe('---\nstatus --output=yaml\n---\nstatus --output=yaml\n');
  });

  test.each([
    [['--node', 'n2', 'map', 'dump', 'flows']],
    [['--node=n2', 'map', 'dump', 'flows']],
    [['-n', 'n2', 'map', 'dump', 'flows']],
    [['map', 'dump', 'flows', '--node', 'n2']],
  ])('%j is one node, without a heading', (words) => {
    expect(plugin(words)).toEqual({ status: 0, stdout: 'map dump flows\n', stderr: '' });
    expect(calls().slice(1)).toEqual([expect.stringContaining('exec isthmus-n2 --container agent -- isthmus map')]);
  });

  test('-n behind the command is its own: a namespace of pods', () => {
    expect(plugin(['--node', 'n1', 'endpoint', 'list', '-n', 'shop']).stdout).toBe('endpoint list -n shop\n');
  });

  test('arguments reach the agent as they are', () => {
    answer('n1', `printf '<%s>' "$@"`);
    const words = ['flow', 'list', '--pod', 'a b/*', '', `it's "$HOME"`];
    expect(plugin(['--node', 'n1', ...words]).stdout).toBe(words.map((word) => `<${word}>`).join(''));
  });

  test('one agent alone needs no heading', () => {
    writeFileSync(`${world}/pods`, '');
    agent('n7', '192.0.2.17');
    expect(plugin(['status']).stdout).toBe('status\n');
  });

  test('a pod that goes away does not count beside the one that replaces it', () => {
    writeFileSync(`${world}/pods`, 'n1|isthmus-old|192.0.2.11,|2026-01-01T00:00:00Z|2026-01-02T00:00:00Z\n');
    agent('n1', '192.0.2.11');
    expect(plugin(['status']).stdout).toBe('status\n');
    expect(calls()[1]).toContain('exec isthmus-n1 ');
  });

  test('more nodes than are asked at a time', () => {
    for (let index = 10; index < 50; index++) agent(`n${index}`, `192.0.2.${index + 50}`, { script: `echo ${index}` });
    const { status, stdout } = plugin(['status', '-o', 'jsonl']);
    const numbers = stdout.split('\n').filter((line) => /^\d+$/.test(line));
    expect({ status, numbers }).toEqual({ status: 0, numbers: Array.from({ length: 40 }, (_, at) => `${at + 10}`) });
  });

  test('what never ends, and standard input, are for one node', () => {
    for (const words of [
      ['drop', 'list', '--watch'],
      ['--stdin', 'status'],
    ]) {
      const { status, stdout, stderr } = plugin(words);
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toContain('add --node NAME. Agents run on: n1 n2');
    }
  });

  test('standard input is passed when that is asked for, and else left to others', () => {
    answer('n1', 'cat');
    expect(plugin(['-n', 'n1', '-i', 'status'], { input: 'hello' }).stdout).toBe('hello');
    expect(plugin(['-n', 'n1', 'status'], { input: 'hello' }).stdout).toBe('');
  });

  test('help comes from one agent', () => {
    expect(plugin(['nat', 'who', '--help']).stdout).toBe('nat who --help\n');
    expect(plugin(['help', 'nat']).stdout).toBe('help nat\n');
    expect(calls().filter((call) => call.includes(' exec '))).toHaveLength(2);
  });
});

describe('nat who', () => {
  const nobody = (node: string): void => answer(node, `echo "error: nobody: ${node} does not know" >&2; exit 5`);

  test.each([
    ['192.0.2.12:37000', 'n2'],
    ['[2001:db8:1::11]:37000', 'n1'],
  ])('%s is asked of the node that has the address', (subject, node) => {
    expect(plugin(['nat', 'who', '--remote', '192.0.2.99:1', subject]).status).toBe(0);
    const execs = calls().filter((call) => call.includes(' exec '));
    expect(execs).toEqual([expect.stringContaining(`exec isthmus-${node} `)]);
  });

  test('an address of no node is asked of all, and the one answer printed', () => {
    nobody('n1');
    answer('n2', 'echo shop/web-0');
    expect(plugin(['nat', 'who', '203.0.113.7:40123'])).toEqual({ status: 0, stdout: 'shop/web-0\n', stderr: '' });
  });

  test('who it was is asked of all: a node may have had the address', () => {
    nobody('n1');
    answer('n2', 'echo shop/web-0');
    expect(plugin(['nat', 'who', '192.0.2.11:1', '--at', '3h']).stdout).toBe('shop/web-0\n');
  });

  test('when no node knows, their reasons are printed once', () => {
    nobody('n1');
    nobody('n2');
    agent('n3', '192.0.2.13', { script: 'echo "error: nobody: n2 does not know" >&2; exit 5' });
    expect(plugin(['nat', 'who', '203.0.113.7:40123'])).toEqual({
      status: 5,
      stdout: '',
      stderr: 'error: nobody: n1 does not know\nerror: nobody: n2 does not know\n',
    });
  });

  test('an agent that does not answer is said, beside the answer', () => {
    agent('n3', '192.0.2.13', { running: false });
    nobody('n1');
    answer('n2', 'echo shop/web-0');
    const { status, stdout, stderr } = plugin(['nat', 'who', '203.0.113.7:40123']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'shop/web-0\n' });
    expect(stderr).toBe(
      'error: the agent of node n3 does not run. See: kubectl -n isthmus-system describe pod isthmus-n3\n',
    );
  });

  test('nobody knows, but not all could be asked: that is no "not found"', () => {
    nobody('n1');
    answer('n2', 'echo "Error from server: dial tcp: i/o timeout" >&2; exit 99');
    const { status, stderr } = plugin(['nat', 'who', '203.0.113.7:40123']);
    expect(status).toBe(3);
    expect(stderr).toContain('i/o timeout');
    expect(stderr).toContain('node n2 could not be asked');
  });
});

describe('what goes wrong', () => {
  test('the exit code is that of the command, and kubectl adds nothing', () => {
    answer('n1', 'echo degraded; echo "error: it is" >&2; exit 1');
    expect(plugin(['--node', 'n1', 'status'])).toEqual({ status: 1, stdout: 'degraded\n', stderr: 'error: it is\n' });
  });

  test('of several, the worst exit code; the others are not concerned', () => {
    answer('n1', 'exit 4');
    agent('n3', '192.0.2.13', { running: false });
    const { status, stdout, stderr } = plugin(['status']);
    expect({ status, stdout }).toEqual({ status: 4, stdout: '==> n1 <==\n\n==> n2 <==\nstatus\n\n==> n3 <==\n' });
    expect(stderr).toContain('the agent of node n3 does not run');
  });

  test('no agents', () => {
    writeFileSync(`${world}/pods`, '');
    const { status, stderr } = plugin(['--agent-namespace', 'elsewhere', 'status']);
    expect(status).toBe(5);
    expect(stderr).toMatch(/no agents: .*app.kubernetes.io\/name=isthmus .*in namespace elsewhere/);
  });

  test('an unknown node', () => {
    const { status, stderr } = plugin(['--node', 'x', 'status']);
    expect(status).toBe(5);
    expect(stderr).toBe("error: no agent on node 'x'. Agents of namespace isthmus-system run on: n1 n2\n");
  });

  test('no right to look for pods, or no API server', () => {
    writeFileSync(`${world}/refuse-get`, 'Error from server (Forbidden): pods is forbidden: User "a"\n');
    expect(plugin(['status'])).toMatchObject({ status: 4, stderr: expect.stringContaining('pods is forbidden') });
    writeFileSync(`${world}/refuse-get`, 'The connection to the server localhost:8080 was refused\n');
    expect(plugin(['status'])).toMatchObject({ status: 3, stderr: expect.stringContaining('Nothing was asked') });
  });

  test('no right to run commands in pods', () => {
    writeFileSync(`${world}/refuse-exec`, 'Error from server (Forbidden): pods "x" is forbidden\n');
    const { status, stderr } = plugin(['--node', 'n1', 'status']);
    expect(status).toBe(4);
    expect(stderr).toContain('It needs the verb create on pods/exec in namespace isthmus-system');
  });

  test('no kubectl', () => {
    rmSync(`${world}/bin/kubectl`);
    expect(plugin(['status'])).toMatchObject({ status: 3, stderr: expect.stringContaining('no kubectl in PATH') });
  });

  test.each(['agent', 'lab', 'bench', 'cleanup'])('%s is for the machine itself', (noun) => {
    expect(plugin([noun])).toMatchObject({ status: 2, stdout: '' });
    expect(calls()).toEqual([]);
  });

  test('no command, and an option without its value', () => {
    expect(plugin([])).toMatchObject({ status: 2, stdout: '' });
    expect(plugin(['status', '--node'])).toMatchObject({ status: 2, stderr: 'error: --node needs a value\n' });
  });

  test('its own help needs no cluster', () => {
    expect(plugin(['--help'])).toMatchObject({ status: 0, stderr: '' });
    expect(calls()).toEqual([]);
  });

  test('it leaves no files', () => {
    plugin(['status']);
    plugin(['--node', 'x', 'status']);
    const left = execFileSync('find', [world, '-maxdepth', '1', '-name', 'tmp.*'], { encoding: 'utf8' });
    expect(left).toBe('');
  });
});

test('the connection and the place of the agents come from options and the environment', () => {
  const connection = ['--kubeconfig', '/k c', '--context', 'c', '--as', 'u'];
  plugin([...connection, 'status', '--node', 'n1'], { env: { ISTHMUS_NAMESPACE: 'ns', ISTHMUS_SELECTOR: 'a=b' } });
  expect(calls()[0]).toContain('--kubeconfig /k c --context c --as u --namespace ns get pods --selector a=b');
  expect(calls()[1]).toContain('--kubeconfig /k c --context c --as u --namespace ns exec isthmus-n1');
});

test('it knows every option of the command line that has a value', () => {
  const refused = ['agent.ts', 'lab.ts', 'bench.ts', 'cleanup.ts'];
  const commands = readdirSync(`${ROOT}/src/cli/commands`).filter((name) => !refused.includes(name));
  const texts = ['options.ts', ...commands.map((name) => `commands/${name}`)].map((name) =>
    readFileSync(`${ROOT}/src/cli/${name}`, 'utf8'),
  );
  const declared = texts.join('').match(/(?<=')(-[a-z], )?--[a-z-]+(?= <)/g) ?? [];
  const options = new Set(declared.flatMap((names) => names.split(', ')).filter((name) => name !== '--node'));
  const known = /WITH_VALUE='([^']*)'/.exec(readFileSync(PLUGIN, 'utf8'))?.[1]?.trim().split(' ') ?? [];
  expect([...known].sort()).toEqual([...options].sort());
});
