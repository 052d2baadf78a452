// The client of the agent's socket and the finding of instances, against real sockets in temporary directories.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createAgentClient } from '../../src/api/client.js';
import { findStateDirs, openInstance } from '../../src/api/instances.js';
import { agentState, agentStatus, answering, createStateDir, startFakeAgent } from '../support/fake-agent.js';
import { anEndpoint } from '../support/objects.js';

test('the client returns what the agent answers', async () => {
  using dir = createStateDir();
  const status = agentStatus(agentState());
  await using _agent = await startFakeAgent(dir.path, answering(status));
  const client = createAgentClient(join(dir.path, 'agent.sock'));
  expect(await client.status()).toEqual(status);
  expect(await client.state()).toEqual(status.state);
});

test('a socket that does not exist is an agent that is down', async () => {
  using dir = createStateDir();
  const socket = join(dir.path, 'agent.sock');
  await expect(createAgentClient(socket).status()).rejects.toMatchObject({
    code: 'ERR_AGENT_DOWN',
    message: `no agent answers at ${socket}: the socket does not exist`,
  });
});

test('a file that nobody listens on is an agent that is down', async () => {
  using dir = createStateDir();
  writeFileSync(join(dir.path, 'agent.sock'), '');
  await expect(createAgentClient(join(dir.path, 'agent.sock')).status()).rejects.toMatchObject({
    code: 'ERR_AGENT_DOWN',
    message: expect.stringContaining('nobody listens on the socket'),
  });
});

test('an agent that accepts and says nothing is given up after the timeout', async () => {
  using dir = createStateDir();
  await using _agent = await startFakeAgent(dir.path, () => {});
  await expect(createAgentClient(join(dir.path, 'agent.sock'), { timeout: 50 }).status()).rejects.toMatchObject({
    code: 'ERR_AGENT_TIMEOUT',
    message: expect.stringContaining('does not answer GET /status within 50 ms'),
  });
});

test('an agent that stops in the middle of its answer is given up too', async () => {
  using dir = createStateDir();
  await using _agent = await startFakeAgent(dir.path, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{');
  });
  const client = createAgentClient(join(dir.path, 'agent.sock'), { timeout: 50 });
  await expect(client.status()).rejects.toMatchObject({ code: 'ERR_AGENT_TIMEOUT' });
});

test('an error of the agent is told with its status', async () => {
  using dir = createStateDir();
  await using _agent = await startFakeAgent(dir.path, (_request, response) => {
    response.writeHead(500).end('{"error":"boom"}');
  });
  await expect(createAgentClient(join(dir.path, 'agent.sock')).status()).rejects.toMatchObject({
    code: 'ERR_AGENT_RESPONSE',
    message: expect.stringContaining('status 500: {"error":"boom"}'),
  });
});

test('an answer that is not JSON is told so', async () => {
  using dir = createStateDir();
  await using _agent = await startFakeAgent(dir.path, (_request, response) => {
    response.end('hello');
  });
  await expect(createAgentClient(join(dir.path, 'agent.sock')).state()).rejects.toMatchObject({
    code: 'ERR_AGENT_RESPONSE',
  });
});

test('a signal ends the request with its own reason', async () => {
  using dir = createStateDir();
  await using _agent = await startFakeAgent(dir.path, () => {});
  const reason = new Error('stop');
  const client = createAgentClient(join(dir.path, 'agent.sock'), { signal: AbortSignal.abort(reason) });
  await expect(client.status()).rejects.toBe(reason);
});

test('an instance whose agent is down is read from its directory, pods in order', async () => {
  using dir = createStateDir();
  dir.writeState(agentState());
  dir.writeEndpoint(anEndpoint({ containerID: 'c2', pod: 'web-1' }));
  dir.writeEndpoint(anEndpoint());
  const instance = await openInstance(dir.path);
  expect(instance).toMatchObject({ node: 'n1', agentError: { code: 'ERR_AGENT_DOWN' } });
  expect(instance.endpoints.map((endpoint) => endpoint.pod)).toEqual(['web-0', 'web-1']);
});

test('an instance whose agent answers is not read from its directory', async () => {
  using dir = createStateDir();
  dir.writeState(agentState({ node: 'stale' }));
  const status = agentStatus(agentState(), { endpoints: [anEndpoint()] });
  await using _agent = await startFakeAgent(dir.path, answering(status));
  const instance = await openInstance(dir.path);
  expect(instance).toMatchObject({ node: 'n1', endpoints: [{ pod: 'web-0' }] });
  expect(instance.agentError).toBeUndefined();
});

test('a directory without state says what is missing', async () => {
  using dir = createStateDir();
  await expect(openInstance(dir.path)).rejects.toMatchObject({
    code: 'ERR_STATE_MISSING',
    message: expect.stringContaining('state.json beside it does not exist'),
  });
});

test.each([
  ['{', 'is not JSON'],
  ['{"apiVersion":"isthmus.dev/v2","kind":"AgentState"}', 'is not an AgentState of isthmus.dev/v1'],
])('a state file that holds %s is refused', async (text, message) => {
  using dir = createStateDir();
  writeFileSync(join(dir.path, 'state.json'), text);
  await expect(openInstance(dir.path)).rejects.toMatchObject({
    code: 'ERR_STATE_INVALID',
    message: expect.stringContaining(message),
  });
});

test('the default directory comes before the lab, and a given one before both', async () => {
  using dir = createStateDir();
  for (const node of ['b1', 'a1']) {
    mkdirSync(join(dir.path, 'lab', node), { recursive: true });
    writeFileSync(join(dir.path, 'lab', node, 'state.json'), '{}');
  }
  mkdirSync(join(dir.path, 'lab', 'empty'));
  expect(await findStateDirs(undefined, dir.path)).toEqual([join(dir.path, 'lab/a1'), join(dir.path, 'lab/b1')]);
  dir.writeState(agentState());
  expect(await findStateDirs(undefined, dir.path)).toEqual([dir.path]);
  expect(await findStateDirs('/elsewhere', dir.path)).toEqual(['/elsewhere']);
});
