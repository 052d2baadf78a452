// The agent's socket: who may have it, and what is answered to requests that are no good.
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type Server } from 'node:http';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CniError, type CniRequest } from '../../src/agent/cni.js';
import { type Handlers, SocketInUseError, serve } from '../../src/agent/server.js';
import { agentState, agentStatus } from '../support/fake-agent.js';

let directory: string;
let socketPath: string;
let servers: Server[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ist-server-'));
  socketPath = join(directory, 'agent.sock');
  servers = [];
});

afterEach(async () => {
  for (const server of servers) {
    await new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
  }
  rmSync(directory, { recursive: true, force: true });
});

const HANDLERS: Handlers = {
  status: () => agentStatus(agentState()),
  state: () => agentState(),
  cni: async () => undefined,
};

async function start(handlers: Partial<Handlers> = {}): Promise<void> {
  servers.push(await serve(socketPath, { ...HANDLERS, ...handlers }));
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(method: string, path: string, body = '', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    request.on('error', reject).end(body);
  });
}

test('status, state and CNI requests are answered', async () => {
  const requests: CniRequest[] = [];
  await start({
    cni: async (request) => {
      requests.push(request);
      return { cniVersion: '1.1.0' };
    },
  });
  expect(JSON.parse((await ask('GET', '/status')).body)).toMatchObject({ pid: 4711 });
  expect(JSON.parse((await ask('GET', '/state')).body)).toMatchObject({ node: 'n1' });
  const headers = { 'cni-command': 'ADD', 'cni-containerid': 'abc', 'cni-netns': '/x', 'cni-ifname': 'eth0' };
  expect(await ask('POST', '/cni', '{"a":"ü"}', headers)).toEqual({ status: 200, body: '{"cniVersion":"1.1.0"}\n' });
  expect(requests).toEqual([
    { command: 'ADD', containerID: 'abc', netns: '/x', interfaceName: 'eth0', args: '', config: '{"a":"ü"}' },
  ]);
});

test('what has no result prints nothing', async () => {
  await start();
  expect(await ask('POST', '/cni', '{}')).toEqual({ status: 200, body: '' });
});

test('a second agent is refused, and the first one goes on', async () => {
  await start();
  await expect(serve(socketPath, HANDLERS)).rejects.toThrow(
    new SocketInUseError(`another agent serves ${socketPath}; nothing was changed; stop it or choose --state-dir`),
  );
  expect((await ask('GET', '/status')).status).toBe(200);
});

test('one that is alive but does not answer is alive', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(socketPath, resolve));
  await expect(serve(socketPath, HANDLERS)).rejects.toThrow(SocketInUseError);
  expect(existsSync(socketPath)).toBe(true);
  await new Promise((resolve) => silent.close(resolve));
});

test.each([
  ['a file', () => writeFileSync(socketPath, 'stale')],
  ['nothing', () => undefined],
])('%s in place of the socket is taken over; root alone may connect', async (_name, prepare) => {
  prepare();
  await start();
  expect((await ask('GET', '/status')).status).toBe(200);
  expect(statSync(socketPath).mode & 0o777).toBe(0o600);
});

test('a socket that its agent left behind is taken over', async () => {
  const { spawnSync } = await import('node:child_process');
  const script = `require('net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 9))`;
  spawnSync(process.execPath, ['-e', script]);
  expect(statSync(socketPath).isSocket()).toBe(true);
  await start();
  expect((await ask('GET', '/status')).status).toBe(200);
});

test('the umask of the process is what it was', async () => {
  const before = process.umask();
  await start();
  expect(process.umask()).toBe(before);
});

test('a body over 2 MiB is refused with the shape of a CNI error, after all of it was read', async () => {
  let handled = 0;
  await start({
    cni: async () => {
      handled += 1;
    },
  });
  const { status, body } = await ask('POST', '/cni', 'x'.repeat(3 << 20));
  expect(status).toBe(400);
  expect(JSON.parse(body)).toMatchObject({ code: 6, msg: 'the request is over 2 MiB' });
  expect(handled).toBe(0);
  expect(await ask('POST', '/cni', ' '.repeat(2 << 20))).toEqual({ status: 200, body: '' });
});

test('errors of CNI have its shape, also those that nobody expected', async () => {
  const errors = [new CniError(11, 'try again', 'soon'), new Error('oops')];
  await start({
    cni: async () => {
      throw errors.shift();
    },
  });
  const first = await ask('POST', '/cni', '{}');
  expect(first.status).toBe(400);
  expect(JSON.parse(first.body)).toEqual({ cniVersion: '1.1.0', code: 11, msg: 'try again', details: 'soon' });
  expect(JSON.parse((await ask('POST', '/cni', '{}')).body)).toMatchObject({ code: 5, msg: 'oops' });
});

test('while nothing is in force, status says why', async () => {
  await start({
    status: () => {
      throw new Error('nothing is in force yet: the agent is starting');
    },
  });
  const { status, body } = await ask('GET', '/status');
  expect(status).toBe(500);
  expect(JSON.parse(body)).toEqual({ error: 'nothing is in force yet: the agent is starting' });
});

test.each([
  ['GET', '/'],
  ['POST', '/status'],
  ['GET', '/cni'],
  ['GET', '/status/../state'],
])('there is no %s %s', async (method, path) => {
  await start();
  const { status, body } = await ask(method, path);
  expect(status).toBe(404);
  expect(body).toBe(`{"error":"there is no ${method} ${path}"}\n`);
});

test('who breaks off in the middle of a request harms nobody', async () => {
  let handled = 0;
  await start({
    cni: async () => {
      handled += 1;
    },
  });
  const socket = createConnection(socketPath);
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write('POST /cni HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"half":');
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  expect((await ask('GET', '/status')).status).toBe(200);
  expect(handled).toBe(0);
});
