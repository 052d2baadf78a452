// What the leading agent tells the API server: conditions of our kinds and Events, each once.
import { describe, expect, test, vi } from 'vitest';
import { describeConditions } from '../../src/agent/cluster/conditions.js';
import { EventRecorder } from '../../src/agent/cluster/event-recorder.js';
import { Spokesman } from '../../src/agent/cluster/spokesman.js';
import { StatusWriter } from '../../src/agent/cluster/status-writer.js';
import type { ApiRequest } from '../../src/kubernetes/api-client.js';
import { ApiError } from '../../src/kubernetes/api-error.js';
import type { Problem } from '../../src/model/snapshot.js';
import { objectPath } from '../../src/source/kubernetes/object-path.js';
import { aSnapshot } from '../support/objects.js';

/** The machine may be busy. */
const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 10_000, interval: 10 });

const problem = (object: string, reason = 'overlaps'): Problem => ({
  where: object,
  object,
  reason,
  inForce: 'nothing of it',
});
const now = new Date('2026-01-02T03:04:05.678Z');

describe('conditions', () => {
  const own = (generation: number, conditions: readonly unknown[] = []) => ({ version: '5', generation, conditions });

  test('say what is accepted and since when; those of others stay', () => {
    const other = { type: 'Watched', status: 'True' };
    const first = describeConditions({ own: own(1, [other]), problems: [], now });
    const accepted = {
      type: 'Accepted',
      status: 'True',
      reason: 'Accepted',
      message: 'nodes put it in force',
      observedGeneration: 1,
      lastTransitionTime: '2026-01-02T03:04:05Z',
    };
    expect(first).toEqual([other, accepted]);
    expect(describeConditions({ own: own(1, first), problems: [], now })).toBeUndefined();
    const later = new Date(now.getTime() + 60_000);
    const second = describeConditions({ own: own(2, first), problems: [], now: later });
    expect(second).toEqual([other, { ...accepted, observedGeneration: 2 }]);
  });

  test('say why something is refused, and what is in force instead', () => {
    const before = describeConditions({ own: own(1), problems: [], now: new Date(0) });
    const refused = describeConditions({ own: own(2, before), problems: [problem('EgressPool web')], now });
    expect(refused).toEqual([
      {
        type: 'Accepted',
        status: 'False',
        reason: 'Refused',
        message: 'overlaps; in force is nothing of it',
        observedGeneration: 2,
        lastTransitionTime: '2026-01-02T03:04:05Z',
      },
    ]);
  });

  test('name the first contradiction in one word', () => {
    const problems = [{ ...problem('EgressPool web'), code: 'DuplicateAddress' as const }, problem('EgressPool web')];
    expect(describeConditions({ own: own(1), problems, now })).toMatchObject([{ reason: 'DuplicateAddress' }]);
  });

  test('are written under the version that was seen, one failure not keeping the others from it', async () => {
    const requests: ApiRequest[] = [];
    const client = {
      json: async (request: ApiRequest) => {
        requests.push(request);
        if (request.path.includes('/a/')) throw new ApiError(409, { message: 'changed meanwhile' });
        return {};
      },
    };
    const objects = [
      ['EgressPool a', own(1)],
      ['EgressPool b', own(1)],
    ] as const;
    const writer = new StatusWriter({ client, own: () => objects });
    await expect(writer.write({ ...aSnapshot({}), problems: [problem('EgressPool b')] })).rejects.toThrow(
      '409: changed meanwhile',
    );
    expect(requests.map(({ path }) => path)).toEqual([
      '/apis/isthmus.dev/v1alpha1/egresspools/a/status',
      '/apis/isthmus.dev/v1alpha1/egresspools/b/status',
    ]);
    expect(requests[1]?.body).toMatchObject({
      metadata: { resourceVersion: '5' },
      status: { observedGeneration: 1, conditions: [{ type: 'Accepted', status: 'False' }] },
    });
  });
});

describe('Events', () => {
  class Api {
    readonly posted: ApiRequest[] = [];
    refuses: ApiError | undefined;

    readonly json = async (request: ApiRequest): Promise<unknown> => {
      if (request.method !== 'POST') return { metadata: { uid: `uid of ${request.path}` } };
      if (this.refuses !== undefined) throw this.refuses;
      this.posted.push(request);
      return {};
    };
  }

  test('are told once, again after a while, and where the object is', async () => {
    const api = new Api();
    let time = 0;
    const recorder = new EventRecorder({ client: api, instance: 'n1', clock: () => time });
    await recorder.record([problem('Service shop/web'), problem('Node n2'), problem('route to 10.0.0.0/8')]);
    expect(api.posted.map(({ path }) => path)).toEqual([
      '/api/v1/namespaces/shop/events',
      '/api/v1/namespaces/default/events',
    ]);
    expect(api.posted[0]?.body).toMatchObject({
      metadata: { name: expect.stringMatching(/^web\.[0-9a-f]{16}$/), namespace: 'shop' },
      involvedObject: {
        apiVersion: 'v1',
        kind: 'Service',
        namespace: 'shop',
        name: 'web',
        uid: 'uid of /api/v1/namespaces/shop/services/web',
      },
      type: 'Warning',
      reason: 'Refused',
      message: 'overlaps; in force is nothing of it',
    });
    await recorder.record([problem('Service shop/web'), problem('Node n2')]);
    expect(api.posted).toHaveLength(2);
    await recorder.record([problem('Service shop/web', 'something else'), problem('Node n2')]);
    expect(api.posted).toHaveLength(3);
    time += 31 * 60_000;
    await recorder.record([problem('Node n2')]);
    expect(api.posted).toHaveLength(4);
  });

  test('that a former leader told are told; others that fail are told later', async () => {
    const api = new Api();
    const recorder = new EventRecorder({ client: api, instance: 'n1', clock: () => 0 });
    api.refuses = new ApiError(409, { message: 'already exists' });
    await recorder.record([problem('Node n2')]);
    api.refuses = new ApiError(403, { message: 'events is forbidden' });
    await expect(recorder.record([problem('Node n2'), problem('Node n3')])).rejects.toThrow('403: events is forbidden');
    api.refuses = undefined;
    await recorder.record([problem('Node n2'), problem('Node n3')]);
    expect(api.posted.map(({ body }) => (body as { involvedObject: { name: string } }).involvedObject.name)).toEqual([
      'n3',
    ]);
  });

  test('of a thousand objects are not a thousand at once', async () => {
    const api = new Api();
    const recorder = new EventRecorder({ client: api, instance: 'n1', clock: () => 0 });
    const problems = Array.from({ length: 1000 }, (_, index) => problem(`Service shop/s${index}`));
    await recorder.record(problems);
    expect(api.posted).toHaveLength(50);
    await recorder.record(problems);
    expect(new Set(api.posted.map(({ body }) => JSON.stringify(body))).size).toBe(100);
  });
});

describe('who speaks', () => {
  test('is the leader only; changes are told together, and failures once', async () => {
    const leader = { leading: false };
    const said: string[][] = [];
    const warnings: string[] = [];
    let failure: Error | undefined;
    const spokesman = new Spokesman({
      leader,
      log: { warn: (details: object) => warnings.push(JSON.stringify(details)) } as never,
      tasks: [
        async ({ problems }) => {
          said.push(problems.map(({ object }) => object));
          if (failure !== undefined) throw failure;
        },
      ],
      timing: { pause: 10, repeat: 20 },
    });
    spokesman.update({ ...aSnapshot({}), problems: [problem('Node a')] });
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(said).toEqual([]);
    leader.leading = true;
    spokesman.update({ ...aSnapshot({}), problems: [problem('Node b')] });
    spokesman.update({ ...aSnapshot({}), problems: [problem('Node c')] });
    await eventually(() => expect(said.length).toBeGreaterThan(0));
    expect(said[0]).toEqual(['Node c']);
    failure = new Error('403: forbidden');
    const before = said.length;
    await eventually(() => expect(said.length).toBeGreaterThan(before + 2));
    expect(warnings).toEqual(['{"reason":"403: forbidden"}']);
    await spokesman.close();
    const after = said.length;
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(said).toHaveLength(after);
  });
});

test('objects are found where the API server has them', () => {
  expect(objectPath('Service shop/web')).toBe('/api/v1/namespaces/shop/services/web');
  expect(objectPath('EndpointSlice shop/web-1')).toBe('/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/web-1');
  expect(objectPath('ClusterNetwork default')).toBe('/apis/isthmus.dev/v1alpha1/clusternetworks/default');
  expect(() => objectPath('Pod shop/web')).toThrow(RangeError);
});
