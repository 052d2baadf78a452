// Why a backend is used or is not, from the agent's decision to the lines that people read.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { explainService } from '../../src/agent/explain.js';
import { compile } from '../../src/datapath/compile.js';
import type { EndpointSlice, Service } from '../../src/model/service.js';
import { runCli } from '../support/cli.js';
import { agentState, agentStatus, createStateDir, type StateDir, startFakeAgent } from '../support/fake-agent.js';
import { aBackend, aNetwork, aNode, aService, aSlice, aSnapshot } from '../support/objects.js';

function explain(service: Partial<Service>, slices: readonly EndpointSlice[]) {
  const nodes = [aNode(1, { zone: 'z1' })];
  const snapshot = aSnapshot({ network: aNetwork(), nodes, services: [aService('web', service)], slices });
  const have = { services: new Map(), backends: new Map() };
  const { services } = compile({ snapshot, nodeName: 'node-1', endpoints: [], serviceIds: new Map(), have });
  return explainService(services, 'shop', 'web');
}

const at = (last: number, fields: Parameters<typeof aBackend>[0]) =>
  aBackend({ address: `10.244.1.${last}`, ...fields });
const reasons = (explanation: ReturnType<typeof explain>) =>
  explanation?.ports.flatMap(({ backends }) =>
    backends.map(
      ({ address, cluster, local, reason }) => `${address.at(-1)} ${cluster ? 'C' : '-'}${local ? 'L' : '-'} ${reason}`,
    ),
  );

test.each([
  [
    'hints for the zone',
    {},
    [at(1, { zoneHints: ['z1'] }), at(2, { zoneHints: ['z2'] }), at(3, { ready: false, serving: false })],
    ["1 C- hinted for this node's zone", "2 -- others are hinted for this node's zone", '3 -- not ready'],
  ],
  [
    'hints for the node',
    {},
    [at(1, { nodeHints: ['node-1'] }), at(2, { nodeHints: ['node-2'] })],
    ['1 C- hinted for this node', '2 -- others are hinted for this node'],
  ],
  [
    'the fallback',
    {},
    [at(1, { ready: false, terminating: true }), at(2, { ready: false, serving: false, terminating: true })],
    ['1 C- terminating, and no other is left', '2 -- terminating, and does not serve'],
  ],
  [
    'termination',
    {},
    [at(1, {}), at(2, { ready: false, terminating: true })],
    ['1 C- ready', '2 -- terminating: keeps its connections, gets no new ones'],
  ],
  [
    'policy Local',
    { internalTrafficPolicy: 'Local' as const },
    [at(1, { nodeName: 'node-1' }), at(2, { nodeName: 'node-2' })],
    ['1 -L ready, and on this node', '2 -- on another node, and the policy is Local'],
  ],
])('%s', (_, service, backends, expected) => {
  expect(reasons(explain(service, [aSlice('a', 'web', { http: backends })]))).toEqual(expected);
});

test('a Service that is not in force has no explanation', () => {
  expect(explain({ name: 'other' }, [])).toBeUndefined();
});

let dir: StateDir;
beforeEach(() => {
  dir = createStateDir();
});
afterEach(() => dir[Symbol.dispose]());

test('the command line shows it, one line for each backend', async () => {
  const explanation = explain({}, [
    aSlice('a', 'web', { http: [at(1, { nodeName: 'node-1' }), at(2, { ready: false })] }),
  ]);
  await using _agent = await startFakeAgent(dir.path, (request, response) => {
    const body = request.url === '/services/shop/web' ? explanation : agentStatus(agentState());
    response.end(JSON.stringify(body));
  });
  const { stdout } = await runCli('service', 'show', 'shop/web', '--state-dir', dir.path);
  expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toMatchObject([
    ['PORT', 'PROTO', 'BACKEND', 'NODE', 'ZONE', 'STATE', 'CLUSTER', 'LOCAL', 'WHY'],
    ['http', 'TCP', '10.244.1.1:8080', 'node-1', '-', 'ready', 'yes', 'no', 'ready'],
    ['http', 'TCP', '10.244.1.2:8080', '-', '-', 'not ready', 'no', 'no', 'not ready'],
    [''],
  ]);
});

test('a Service that is not there, and a name that is none, are told from each other', async () => {
  await using _agent = await startFakeAgent(dir.path, (request, response) => {
    response.statusCode = request.url?.startsWith('/services/') ? 404 : 200;
    response.end(JSON.stringify(agentStatus(agentState())));
  });
  const missing = await runCli('service', 'show', 'shop/none', '--state-dir', dir.path);
  expect([missing.status, missing.stderr]).toEqual([5, expect.stringContaining('no Service shop/none in force')]);
  const wrong = await runCli('service', 'show', 'none', '--state-dir', dir.path);
  expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining("'none' is not NAMESPACE/NAME")]);
});

test('without an agent nobody knows why', async () => {
  dir.writeState(agentState());
  const { status, stderr } = await runCli('service', 'show', 'shop/web', '--state-dir', dir.path);
  expect(status).not.toBe(0);
  expect(stderr).toContain('only the agent knows why');
});
