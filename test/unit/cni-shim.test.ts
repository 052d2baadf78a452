// The CNI plugin as a runtime starts it, against an agent made of node:http.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { createServer as createSocketServer, type Socket, type Server as SocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CNI_VERSIONS } from '../../src/agent/cni.js';

const SHIM = `${import.meta.dirname.replace(/(\/build)?\/test\/.*$/, '')}/build/native/isthmus-cni`;
const CONFIG = JSON.stringify({ cniVersion: '1.1.0', name: 'isthmus', type: 'isthmus-cni' });
const ADD = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'abc123', CNI_NETNS: '/run/netns/ist-x', CNI_IFNAME: 'eth0' };

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
}

interface CniError {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details: string;
}

interface Request {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

let directory: string;
let socket: string;
let server: Server | SocketServer | undefined;

function run(environment: Record<string, string>, stdin: string | Buffer = CONFIG): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(SHIM, { env: { ISTHMUS_SOCKET: socket, ...environment }, stdio: ['pipe', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stdin.on('error', () => undefined); // the plugin may refuse before it has read everything
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout }));
    child.stdin.end(stdin);
  });
}

async function runError(environment: Record<string, string>, stdin?: string | Buffer): Promise<CniError> {
  const { status, stdout } = await run(environment, stdin);
  expect(status).toBe(1);
  return JSON.parse(stdout) as CniError;
}

async function listen<T extends Server | SocketServer>(made: T): Promise<T> {
  server = made;
  await new Promise<void>((resolve) => made.listen(socket, resolve));
  return made;
}

/** An agent that answers every request so, and the requests it got. */
async function agent(status: number, answer: string): Promise<Request[]> {
  const requests: Request[] = [];
  const handle: RequestListener = (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const line = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
      requests.push({ line, headers: request.headers, body });
      response.writeHead(status, { 'content-type': 'application/json' }).end(answer);
    });
  };
  await listen(createServer(handle));
  return requests;
}

/** Something that listens and does this with a connection once a request came. */
async function rawAgent(act: (connection: Socket) => void): Promise<void> {
  await listen(
    createSocketServer((connection) => {
      connection.on('error', () => undefined);
      connection.once('data', () => act(connection));
    }),
  );
}

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ist-cni-'));
  socket = join(directory, 'agent.sock');
});

afterEach(async () => {
  const old = server;
  server = undefined;
  if (old !== undefined) await new Promise((resolve) => old.close(resolve));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('with an agent', () => {
  test('C1: environment and configuration arrive as they are, and the result is printed', async () => {
    const result = JSON.stringify({ cniVersion: '1.1.0', ips: [{ address: '10.244.1.7/32' }], name: 'ü' });
    const requests = await agent(200, result);
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0';
    const outcome = await run({ ...ADD, CNI_ARGS: args, CNI_PATH: '/opt/cni/bin' });
    expect(outcome).toEqual({ status: 0, stdout: result });
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ line: 'POST /cni HTTP/1.0', body: CONFIG });
    expect(requests[0]?.headers).toMatchObject({
      'cni-command': 'ADD',
      'cni-containerid': 'abc123',
      'cni-netns': '/run/netns/ist-x',
      'cni-ifname': 'eth0',
      'cni-args': args,
      'cni-path': '/opt/cni/bin',
    });
  });

  test('a variable that is not set is not sent; an empty one is', async () => {
    const requests = await agent(200, '');
    expect(await run({ CNI_COMMAND: 'DEL', CNI_NETNS: '' })).toEqual({ status: 0, stdout: '' });
    expect(requests[0]?.headers['cni-netns']).toBe('');
    expect(requests[0]?.headers).not.toHaveProperty('cni-ifname');
  });

  test.each([400, 404, 409, 500, 503])('an error of the agent with status %i is passed through', async (status) => {
    const error = JSON.stringify({
      cniVersion: '1.1.0',
      code: 101,
      msg: 'no address is free',
      details: '10.244.1.0/24',
    });
    await agent(status, error);
    expect(await run(ADD)).toEqual({ status: 1, stdout: error });
  });

  test('a configuration of 1 MiB arrives whole', async () => {
    const requests = await agent(200, '{}');
    const large = JSON.stringify({ pad: 'x'.repeat((1 << 20) - 10) });
    expect(large).toHaveLength(1 << 20);
    expect(await run(ADD, large)).toEqual({ status: 0, stdout: '{}' });
    expect(requests[0]?.body).toBe(large);
  });

  test('a result of several hundred KiB arrives whole', async () => {
    const result = JSON.stringify({ pad: 'y'.repeat(700_000) });
    await agent(200, result);
    expect(await run(ADD)).toEqual({ status: 0, stdout: result });
  });
});

describe('without a usable agent', () => {
  test('C8: STATUS is code 50 when no agent is there', async () => {
    expect(await runError({ CNI_COMMAND: 'STATUS' })).toMatchObject({ code: 50 });
  });

  test('C9: a socket that is not there is code 11, with its path and the reason', async () => {
    const error = await runError(ADD);
    expect(error).toMatchObject({ cniVersion: '1.1.0', code: 11, msg: 'the Isthmus agent is not reachable' });
    expect(error.details).toContain(socket);
    expect(error.details).toContain('No such file or directory');
  });

  test('a path with quotes and backslashes is still JSON', async () => {
    const path = `${directory}/a"b\\c`;
    expect((await runError({ ...ADD, ISTHMUS_SOCKET: path })).details).toContain(path);
  });

  test('a path that no socket can have is code 4', async () => {
    expect(await runError({ ...ADD, ISTHMUS_SOCKET: `/${'p'.repeat(107)}` })).toMatchObject({ code: 4 });
  });

  test.each([
    ['closes without a word', ''],
    ['sends half a header', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['sends half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"cniVersion"'],
    ['sends an error without a body', 'HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n'],
    ['speaks something else', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ])('an agent that %s is code 11', async (_, text) => {
    await rawAgent((connection) => connection.end(text));
    expect(await runError(ADD)).toMatchObject({ code: 11, msg: 'the Isthmus agent broke off' });
  });

  test('an agent that does not answer is code 11 when the time is over', async () => {
    const open: Socket[] = [];
    await rawAgent((connection) => open.push(connection));
    const started = performance.now();
    const error = await runError({ ...ADD, ISTHMUS_TIMEOUT: '1' });
    expect(error).toMatchObject({ code: 11, msg: 'the Isthmus agent does not answer' });
    expect(performance.now() - started).toBeGreaterThan(900);
    for (const connection of open) connection.destroy();
  });
});

describe('what is refused before the agent is asked', () => {
  test('no configuration, or one above 1 MiB, is code 7', async () => {
    const requests = await agent(200, '{}');
    expect(await runError(ADD, '')).toMatchObject({ code: 7 });
    expect(await runError(ADD, Buffer.alloc((1 << 20) + 1, 0x20))).toMatchObject({ code: 7 });
    expect(requests).toEqual([]);
  });

  test('a line end or another control character in a value is code 4', async () => {
    const requests = await agent(200, '{}');
    for (const value of ['x\r\nCNI-Command: DEL', 'x\ny', 'x\u007f', '\u0001']) {
      const error = await runError({ ...ADD, CNI_ARGS: value });
      expect(error).toMatchObject({ code: 4 });
      expect(error.details).toContain('CNI_ARGS');
    }
    expect(requests).toEqual([]);
  });

  test('an environment above 64 KiB is code 4', async () => {
    expect(await runError({ ...ADD, CNI_ARGS: 'a'.repeat(70_000) })).toMatchObject({ code: 4 });
  });

  test('no CNI_COMMAND is code 4', async () => {
    expect(await runError({})).toMatchObject({ code: 4 });
  });
});

test.each([CONFIG, '', 'x', '{"cniVersion":"9.9.9"}'])(
  'C2: VERSION is answered without an agent to %j',
  async (stdin) => {
    const { status, stdout } = await run({ CNI_COMMAND: 'VERSION' }, stdin);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      cniVersion: '1.1.0',
      supportedVersions: CNI_VERSIONS,
    });
  },
);

describe('C13: a delegated IPAM plugin', () => {
  const GRANT = '{"ips":[{"address":"10.244.1.9/24"}]}';
  /** A plugin that notes how it was called, and prints this. */
  function plugin(name: string, script: string): string {
    const path = join(directory, 'bin');
    mkdirSync(path, { recursive: true });
    const note = `printf '%s %s %s\\n' "$CNI_COMMAND" "$CNI_CONTAINERID" "$(cat)" >>${directory}/${name}.log`;
    writeFileSync(join(path, name), `#!/bin/sh\n${note}\n${script}\n`, { mode: 0o755 });
    rmSync(join(directory, `${name}.log`), { force: true });
    return `/nonexistent:${path}`;
  }

  function calls(name: string): string[] {
    return readFileSync(join(directory, `${name}.log`), 'utf8')
      .trimEnd()
      .split('\n');
  }

  /** An agent that has the plugin run first, and answers so afterwards. */
  async function delegating(type: string, status: number, answer: string): Promise<Request[]> {
    const requests: Request[] = [];
    await listen(
      createServer((request, response) => {
        let body = '';
        request.setEncoding('utf8').on('data', (text: string) => (body += text));
        request.on('end', () => {
          requests.push({ line: '', headers: request.headers, body });
          if (requests.length > 1) response.writeHead(status).end(answer);
          else response.writeHead(202, { 'cni-delegate': `${request.headers['cni-command']} ${type}` }).end();
        });
      }),
    );
    return requests;
  }

  test('is run with the same input and environment, and the agent is told what it said', async () => {
    const CNI_PATH = plugin('good', `echo '${GRANT}'`);
    const requests = await delegating('good', 200, '{"done":1}');
    expect(await run({ ...ADD, CNI_PATH, PATH: '/bin' })).toEqual({ status: 0, stdout: '{"done":1}' });
    expect(calls('good')).toEqual([`ADD abc123 ${CONFIG}`]);
    expect(requests.map(({ body }) => body)).toEqual([CONFIG, `${CONFIG}${GRANT}\n`]);
    expect(requests[1]?.headers).toMatchObject({ 'cni-ipam-status': '0', 'cni-ipam-length': String(GRANT.length + 1) });
  });

  test('whose ADD fails, or whose address cannot be used, gets a DEL', async () => {
    const CNI_PATH = plugin('bad', 'echo refused; exit 3');
    const requests = await delegating('bad', 400, '{"code":5}');
    expect(await run({ ...ADD, CNI_PATH, PATH: '/bin' })).toEqual({ status: 1, stdout: '{"code":5}' });
    expect(requests[1]?.headers).toMatchObject({ 'cni-ipam-status': '3', 'cni-ipam-length': '8' });
    expect(calls('bad')).toEqual([`ADD abc123 ${CONFIG}`, `DEL abc123 ${CONFIG}`]);
  });

  test('whose CHECK fails gets none', async () => {
    const CNI_PATH = plugin('check', 'exit 1');
    await delegating('check', 400, '{"code":5}');
    expect((await run({ ...ADD, CNI_COMMAND: 'CHECK', CNI_PATH, PATH: '/bin' })).status).toBe(1);
    expect(calls('check')).toEqual([`CHECK abc123 ${CONFIG}`]);
  });

  test('that no directory of CNI_PATH has is code 5', async () => {
    await delegating('missing', 200, '{}');
    const error = await runError({ ...ADD, CNI_PATH: '/nonexistent::/tmp' });
    expect(error).toMatchObject({ code: 5, msg: 'the IPAM plugin cannot be run' });
    expect(error.details).toContain('missing');
  });

  test('is run once: an agent that goes on asking broke off', async () => {
    const CNI_PATH = plugin('again', `echo '${GRANT}'`);
    await listen(createServer((_request, response) => response.writeHead(202, { 'cni-delegate': 'ADD again' }).end()));
    expect(await runError({ ...ADD, CNI_PATH, PATH: '/bin' })).toMatchObject({ code: 11 });
    expect(calls('again')).toHaveLength(1);
  });

  test('whose type would lead out of CNI_PATH is not run', async () => {
    await delegating('../../bin/true', 200, '{}');
    expect(await runError({ ...ADD, CNI_PATH: '/usr/lib' })).toMatchObject({ code: 11 });
  });
});
