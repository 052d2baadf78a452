// One of several leads, and another one only when it cannot.
import { afterEach, expect, test, vi } from 'vitest';
import type { ApiRequest } from '../../src/kubernetes/api-client.js';
import { ApiError } from '../../src/kubernetes/api-error.js';
import { Leader } from '../../src/kubernetes/leader.js';

/** The machine may be busy. */
const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 10_000, interval: 10 });

interface Stored {
  metadata: { resourceVersion: string };
  spec: { holderIdentity: string; leaseTransitions: number; acquireTime: string; renewTime: string };
}

/** One Lease, guarded by its resource version as in an API server. */
class Leases {
  stored: Stored | undefined;
  away = false;
  writes = 0;
  #version = 0;

  readonly json = async ({ method = 'GET', path, body }: ApiRequest): Promise<unknown> => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 4));
    if (this.away) throw new Error('connect ECONNREFUSED');
    expect(path).toMatch(/^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/isthmus\/leases(\/isthmus-status)?$/);
    if (method === 'GET') {
      if (this.stored === undefined) throw new ApiError(404, { message: 'not found' });
      return structuredClone(this.stored);
    }
    const { metadata, spec } = structuredClone(body) as Stored;
    const expected = method === 'POST' ? undefined : metadata.resourceVersion;
    if (this.stored?.metadata.resourceVersion !== expected) throw new ApiError(409, { message: 'conflict' });
    this.writes++;
    this.stored = { metadata: { resourceVersion: String(++this.#version) }, spec };
    return structuredClone(this.stored);
  };
}

const leaders: Leader[] = [];
const TIMING = { lease: 1500, renewal: 1000, retry: 30 };

afterEach(async () => {
  await Promise.all(leaders.splice(0).map((leader) => leader.close()));
});

function candidate(leases: Leases, identity: string, changes: string[] = []): Leader {
  const leader = new Leader({
    client: leases,
    namespace: 'isthmus',
    name: 'isthmus-status',
    identity,
    onChange: (leading) => changes.push(`${identity} ${leading}`),
    onTrouble: ({ message }) => changes.push(`${identity} ${message}`),
    timing: TIMING,
  });
  leaders.push(leader);
  leader.start();
  return leader;
}

const leading = () => leaders.filter((leader) => leader.leading).length;

test('of many that begin at once, one leads, and it renews', async () => {
  const leases = new Leases();
  const changes: string[] = [];
  for (let index = 0; index < 8; index++) candidate(leases, `node-${index}`, changes);
  await eventually(() => expect(leading()).toBe(1));
  const holder = leases.stored?.spec.holderIdentity;
  const acquired = leases.stored?.spec.acquireTime;
  const writes = leases.writes;
  await eventually(() => expect(leases.writes).toBeGreaterThan(writes + 15));
  expect(leading()).toBe(1);
  expect(changes).toEqual([`${holder} true`]);
  expect(leases.stored?.spec).toMatchObject({ holderIdentity: holder, acquireTime: acquired, leaseTransitions: 0 });
  expect(leases.stored?.spec.renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test('who closes gives the Lease back, and another one takes it', async () => {
  const leases = new Leases();
  const changes: string[] = [];
  const first = candidate(leases, 'a', changes);
  await eventually(() => expect(first.leading).toBe(true));
  const second = candidate(leases, 'b', changes);
  await first.close();
  expect(leases.stored?.spec.holderIdentity).toBe('');
  await eventually(() => expect(second.leading).toBe(true));
  expect(leases.stored?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 2 });
  expect(changes).toEqual(['a true', 'a false', 'b true']);
});

test('a holder that died is replaced after the lease, whatever its clock said', async () => {
  const leases = new Leases();
  const spec = {
    holderIdentity: 'dead',
    leaseTransitions: 4,
    acquireTime: '',
    renewTime: '2099-01-01T00:00:00.000000Z',
  };
  leases.stored = { metadata: { resourceVersion: '77' }, spec };
  const began = performance.now();
  const leader = candidate(leases, 'a');
  await eventually(() => expect(leader.leading).toBe(true));
  expect(performance.now() - began).toBeGreaterThanOrEqual(TIMING.lease);
  expect(leases.stored?.spec.leaseTransitions).toBe(5);
});

test('who cannot renew stops leading before another one may begin, says so once, and leads again', async () => {
  const leases = new Leases();
  const changes: string[] = [];
  const leader = candidate(leases, 'a', changes);
  await eventually(() => expect(leader.leading).toBe(true));
  leases.away = true;
  await eventually(() => expect(leader.leading).toBe(false));
  await eventually(() => expect(changes).toEqual(['a true', 'a connect ECONNREFUSED', 'a false']));
  leases.away = false;
  await eventually(() => expect(leader.leading).toBe(true));
});

test('who lost the Lease to another one notices at the next renewal', async () => {
  const leases = new Leases();
  const leader = candidate(leases, 'a');
  await eventually(() => expect(leader.leading).toBe(true));
  const { stored } = leases;
  if (stored !== undefined) {
    leases.stored = { metadata: { resourceVersion: 'other' }, spec: { ...stored.spec, holderIdentity: 'b' } };
  }
  await eventually(() => expect(leader.leading).toBe(false));
});
