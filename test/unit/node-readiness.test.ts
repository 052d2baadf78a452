// The cluster hears that the node is ready: also when the API server is away at first, and without touching what is others'.
import { expect, test, vi } from 'vitest';
import { NodeReadiness } from '../../src/agent/node-readiness.js';
import type { ApiRequest } from '../../src/kubernetes/api-client.js';
import { STARTUP_TAINT } from '../../src/model/node.js';

const OTHER = { key: 'example.test/other', effect: 'NoSchedule' };
const log = { info: () => undefined, warn: () => undefined };

/** An API server with one Node, that fails as often as it is told. */
function fakeServer(taints: readonly object[], failures = 0) {
  const requests: ApiRequest[] = [];
  const json = async (request: ApiRequest): Promise<unknown> => {
    if (failures-- > 0) throw new Error('connection refused');
    requests.push(request);
    return { metadata: { resourceVersion: '7' }, spec: { taints } };
  };
  return { requests, json };
}

const announce = (client: ReturnType<typeof fakeServer>): NodeReadiness => {
  const readiness = new NodeReadiness({ client, node: 'n1', log, backoff: { initial: 1, maximum: 2 } });
  readiness.announce();
  return readiness;
};

const patches = ({ requests }: ReturnType<typeof fakeServer>): (readonly [string, unknown])[] =>
  requests.filter(({ method }) => method === 'PATCH').map(({ path, body }) => [path, body]);

test('the condition is merged, and of the taints only ours goes, unless the Node has changed meanwhile', async () => {
  const server = fakeServer([OTHER, { key: STARTUP_TAINT, effect: 'NoSchedule' }]);
  announce(server);
  await vi.waitFor(() => expect(patches(server)).toHaveLength(2));
  const [status, spec] = patches(server);
  expect(status?.[0]).toBe('/api/v1/nodes/n1/status');
  expect(status?.[1]).toMatchObject({ status: { conditions: [{ type: 'NetworkUnavailable', status: 'False' }] } });
  expect(spec).toEqual(['/api/v1/nodes/n1', { metadata: { resourceVersion: '7' }, spec: { taints: [OTHER] } }]);
});

test('a node without the taint is not written', async () => {
  const server = fakeServer([OTHER]);
  announce(server);
  await vi.waitFor(() => expect(server.requests).toHaveLength(2));
  expect(patches(server).map(([path]) => path)).toEqual(['/api/v1/nodes/n1/status']);
});

test('it is said until it is heard, and not after the end', async () => {
  const server = fakeServer([], 3);
  announce(server);
  await vi.waitFor(() => expect(patches(server)).toHaveLength(1));
  const silent = fakeServer([], Number.POSITIVE_INFINITY);
  const readiness = announce(silent);
  readiness.close();
  const calls = vi.spyOn(silent, 'json');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(calls).not.toHaveBeenCalled();
});
