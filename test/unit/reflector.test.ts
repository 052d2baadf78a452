// A collection followed through everything that an API server and a network do.
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiClient, type RequestDone } from '../../src/kubernetes/api-client.js';
import { Reflector, type ReflectorTiming } from '../../src/kubernetes/reflector.js';
import { FakeApiServer, sendStatus } from '../support/fake-api-server.js';

/** The machine may be busy. */
const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 10_000, interval: 10 });

const PATH = '/api/v1/nodes';
const TIMING = { backoff: { initial: 10, maximum: 40 }, recheck: 20, pageSize: 2 };

interface Item {
  readonly name: string;
  readonly version: string;
}

let server: FakeApiServer;
let reflector: Reflector<Item> | undefined;
let items: Map<string, Item>;
let calls: string[];
let troubles: string[];
let done: RequestDone[];

beforeEach(async () => {
  server = await FakeApiServer.start();
  server.serve(PATH, 'Node', 'v1');
  [items, calls, troubles, done] = [new Map(), [], [], []];
});

afterEach(async () => {
  await reflector?.close();
  reflector = undefined;
  await server[Symbol.asyncDispose]();
});

function follow(timing: Partial<ReflectorTiming> = {}, connection = server.connection()): void {
  reflector = new Reflector<Item>({
    client: new ApiClient({ connection, onRequest: (each) => done.push(each) }),
    path: PATH,
    collection: {
      project: ({ metadata }) => {
        const { name, resourceVersion } = metadata as { name: string; resourceVersion: string };
        return { name, version: resourceVersion };
      },
      replace: (objects, version) => {
        calls.push(`list ${version}`);
        items = new Map(objects.map((item) => [item.name, item]));
      },
      put: (item) => items.set(item.name, item),
      remove: (item) => items.delete(item.name),
      reached: (version) => calls.push(`reached ${version}`),
      absent: () => calls.push('absent'),
    },
    onTrouble: ({ error }) => troubles.push(error.message),
    timing: { ...TIMING, ...timing },
  });
  reflector.start();
}

const node = (name: string) => ({ metadata: { name } });
const put = (...names: string[]) => {
  for (const name of names) server.put(PATH, node(name));
};
const becomes = (...names: string[]) => eventually(() => expect([...items.keys()].sort()).toEqual(names));
const watched = () => eventually(() => expect(server.watchers(PATH)).toBe(1));
const lists = () => server.requests.filter((request) => !request.includes('watch='));
const watches = () => server.requests.filter((request) => request.includes('watch='));

test('a list is read in pages, and a watch goes on where it ended', async () => {
  put('a', 'b', 'c', 'd', 'e');
  follow();
  await becomes('a', 'b', 'c', 'd', 'e');
  await watched();
  expect(lists()).toEqual([
    `GET ${PATH}?limit=2`,
    `GET ${PATH}?limit=2&continue=105:2`,
    `GET ${PATH}?limit=2&continue=105:4`,
  ]);
  expect(calls).toEqual(['list 105']);
  expect(watches()[0]).toMatch(/watch=1&resourceVersion=105&allowWatchBookmarks=true&timeoutSeconds=\d+$/);
});

test('events are taken in order, also when one line comes in two pieces and two in one', async () => {
  follow();
  await watched();
  put('a');
  await becomes('a');
  const line = (name: string, version: number) =>
    `${JSON.stringify({ type: 'ADDED', object: { metadata: { name, resourceVersion: String(version) } } })}\n`;
  const text = `${line('b', 200)}${line('c', 201)}`;
  server.send(PATH, text.slice(0, 30));
  await eventually(() => expect(items.has('a')).toBe(true));
  server.send(PATH, text.slice(30));
  await becomes('a', 'b', 'c');
  server.remove(PATH, 'a');
  await becomes('b', 'c');
});

test('a page that has expired begins the list anew, and shows nobody half of one', async () => {
  put('a', 'b', 'c');
  server.once((url, response) => {
    if (!url.searchParams.has('continue')) return false;
    sendStatus(response, 410, { reason: 'Expired', message: 'the continue token is too old' });
    return true;
  });
  follow();
  await becomes('a', 'b', 'c');
  expect(calls).toHaveLength(1);
  expect(lists()).toHaveLength(4);
  expect(troubles).toEqual([]);
});

test('a bookmark moves the version that the next watch asks for', async () => {
  put('a');
  follow();
  await watched();
  server.compact();
  server.bookmark(PATH);
  await eventually(() => expect(calls).toContain(`reached ${server.version}`));
  server.drop(PATH);
  await eventually(() => expect(watches()).toHaveLength(2));
  expect(watches()[1]).toContain(`resourceVersion=${server.version}&`);
  expect(calls.filter((call) => call.startsWith('list'))).toHaveLength(1);
});

test.each([
  ['in the stream', () => server.send(PATH, { type: 'ERROR', object: { code: 410, reason: 'Expired' } })],
  ['at the next watch', () => server.drop(PATH)],
  [
    'as the answer',
    () => {
      server.once((url, response) => {
        if (url.searchParams.has('watch')) sendStatus(response, 410, { reason: 'Gone', message: 'too old' });
        return url.searchParams.has('watch');
      });
      server.drop(PATH);
    },
  ],
])('410 %s: what went away meanwhile is gone, and what came is there', async (_name, begin) => {
  put('a', 'b');
  follow();
  await watched();
  server.compact();
  begin();
  await eventually(() => expect(calls.filter((call) => call.startsWith('list')).length).toBeGreaterThan(1));
  server.remove(PATH, 'a');
  put('c');
  await becomes('b', 'c');
});

test('429: the server is left alone for as long as it asks', async () => {
  put('a');
  let first = 0;
  server.once((_url, response) => {
    first = performance.now();
    sendStatus(response, 429, { message: 'too many requests' }, { 'retry-after': '1' });
    return true;
  });
  follow();
  await eventually(() => expect(items.size).toBe(1));
  expect(performance.now() - first).toBeGreaterThanOrEqual(1000);
  expect(troubles).toEqual(['429: too many requests']);
});

test('503: what is known stays, the trouble is told once, and the watch goes on', async () => {
  put('a');
  follow();
  await watched();
  const away = (_url: URL, response: Parameters<typeof sendStatus>[0]) => {
    sendStatus(response, 503, { message: 'starting' });
    return true;
  };
  server.faults.push(away);
  server.drop(PATH);
  await eventually(() => expect(done.filter(({ code }) => code === '503').length).toBeGreaterThan(3));
  expect([...items.keys()]).toEqual(['a']);
  expect(troubles.filter((text) => text.startsWith('503'))).toEqual(['503: starting']);
  server.faults.length = 0;
  put('b');
  await becomes('a', 'b');
  expect(calls).toEqual(['list 101']);
});

test('a half-open connection is given up after a time without a byte', async () => {
  put('a');
  follow({ silence: 150 });
  await watched();
  await eventually(() => expect(watches().length).toBeGreaterThan(1));
  expect(troubles).toEqual(['the API server was silent for 0.2 s']);
  expect(calls).toEqual(['list 101']);
});

test('a watch that ends at once is not asked for again in a loop', async () => {
  server.faults.push((url, response) => {
    if (!url.searchParams.has('watch')) return false;
    response.end();
    return true;
  });
  follow({ shortWatch: 60_000, backoff: { initial: 100, maximum: 1000 } });
  const began = performance.now();
  const answered = () => done.filter(({ verb, code }) => verb === 'WATCH' && code === '200');
  await eventually(() => expect(answered().length).toBeGreaterThanOrEqual(3));
  // Half of each of the first two waits at least.
  expect(performance.now() - began).toBeGreaterThanOrEqual(150);
  expect(troubles).toEqual(['the watch ended as soon as it began']);
});

test('401: the token is read anew, and the next request has it', async () => {
  put('a');
  let token = 'old';
  const connection = server.connection(async () => ({ headers: { authorization: `Bearer ${token}` } }));
  Object.assign(connection, {
    renew() {
      connection.renewed++;
      token = 'new';
    },
  });
  server.faults.push((_url, response, request) => {
    if (request.headers.authorization === 'Bearer new') return false;
    sendStatus(response, 401, { message: 'Unauthorized' });
    return true;
  });
  follow({}, connection);
  await becomes('a');
  expect(server.tokens.slice(0, 2)).toEqual(['Bearer old', 'Bearer new']);
  expect(connection.renewed).toBe(1);
});

test('a kind that the server does not know is looked for again', async () => {
  server.faults.push((_url, response) => {
    sendStatus(response, 404, { message: 'the server could not find the requested resource' });
    return true;
  });
  follow();
  await eventually(() => expect(calls.filter((call) => call === 'absent').length).toBeGreaterThan(1));
  expect(troubles).toEqual([]);
  server.faults.length = 0;
  put('a');
  await becomes('a');
});

test('data restored from a backup: a version from the future leads to a list', async () => {
  put('a');
  follow();
  await watched();
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  server.once((url, response) => {
    if (!url.searchParams.has('watch')) return false;
    sendStatus(response, 504, { reason: 'Timeout', message: 'Too large resource version', details: { causes } });
    return true;
  });
  server.drop(PATH);
  await eventually(() => expect(calls.filter((call) => call.startsWith('list'))).toHaveLength(2));
});

test('nothing is delivered after close, which does not wait for the server', async () => {
  put('a');
  follow();
  await watched();
  await reflector?.close();
  put('b');
  expect([...items.keys()]).toEqual(['a']);
  await eventually(() => expect(server.watchers(PATH)).toBe(0));
});

test('whatever is done and whenever connections break, the collection becomes what the server has', {
  timeout: 120_000,
}, async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ what: fc.constant('put'), name: fc.constantFrom('a', 'b', 'c', 'd') }) },
    { weight: 3, arbitrary: fc.record({ what: fc.constant('remove'), name: fc.constantFrom('a', 'b', 'c', 'd') }) },
    fc.record({ what: fc.constantFrom('drop', 'end', 'compact', 'bookmark', 'turn'), name: fc.constant('') }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await using fake = await FakeApiServer.start();
      fake.serve(PATH, 'Node', 'v1');
      server = fake;
      items = new Map();
      follow({ backoff: { initial: 1, maximum: 4 } });
      const have = new Set<string>();
      for (const { what, name } of steps) {
        if (what === 'put') have.add(name) && fake.put(PATH, node(name));
        else if (what === 'remove') have.delete(name) && fake.remove(PATH, name);
        else if (what === 'compact') fake.compact();
        else if (what === 'bookmark') fake.bookmark(PATH);
        else if (what === 'turn') await new Promise((resolve) => setTimeout(resolve, 2));
        else fake.drop(PATH, what === 'end');
      }
      await becomes(...[...have].sort());
      await reflector?.close();
    }),
    { numRuns: 40 },
  );
});
