// What an agent starts from while the API server is away.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KeptSource } from '../../src/agent/kept-source.js';
import { SnapshotFile, type SnapshotOwner } from '../../src/agent/snapshot-file.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { VersionedMap } from '../../src/model/versioned-map.js';
import { aNetwork, aNode, aPool, aService, aSlice, aSnapshot, backends } from '../support/objects.js';

const OWNER: SnapshotOwner = { version: '1.0.0', node: 'node-1', where: 'https://192.0.2.10:6443/' };
const SNAPSHOT = aSnapshot({
  network: aNetwork(),
  nodes: [aNode(1), aNode(2)],
  pools: [aPool()],
  services: [aService('web')],
  slices: [aSlice('web-1', 'web', { http: backends('10.244.1.2:8080') })],
});

let directory: string;
let path: string;
let troubles: Error[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ist-kept-'));
  path = join(directory, 'snapshot.json');
  troubles = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

const fileOf = (owner: Partial<SnapshotOwner> = {}, pace = 0): SnapshotFile =>
  new SnapshotFile({ path, owner: { ...OWNER, ...owner }, pace, onTrouble: (error) => troubles.push(error) });

async function keep(snapshot: Snapshot = SNAPSHOT): Promise<void> {
  const file = fileOf();
  file.put(snapshot);
  await file.close();
}

describe('the file of the desired state', () => {
  test('gives back what was put, with the time', async () => {
    const before = Date.now();
    await keep();
    const { time = '', snapshot } = fileOf().read() ?? {};
    expect(snapshot).toEqual(SNAPSHOT);
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before - 1);
    expect(troubles).toEqual([]);
  });

  test('holds a cluster of any size, and what changes while it is written is in the next one', async () => {
    const services = Array.from({ length: 1001 }, (_, index) => aService(`web-${index}`));
    const large = aSnapshot({ network: aNetwork(), nodes: [aNode(1)], services });
    const versioned = VersionedMap.of(large.services);
    const file = fileOf();
    file.put({ ...large, services: versioned });
    await new Promise((resolve) => setTimeout(resolve, 1));
    versioned.with(services.map(({ name }) => [`shop/${name}`, undefined]));
    await file.close();
    expect(fileOf().read()?.snapshot.services).toEqual(large.services);
  });

  test.each([{ version: '1.0.1' }, { node: 'node-2' }, { where: 'https://192.0.2.99:6443/' }])(
    'is nothing to start from for %o',
    async (other) => {
      await keep();
      expect(fileOf(other).read()).toBeUndefined();
    },
  );

  test('that is missing, half or of another shape is as if there were none', async () => {
    expect(fileOf().read()).toBeUndefined();
    await keep();
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.slice(0, -10));
    expect(fileOf().read()).toBeUndefined();
    writeFileSync(path, JSON.stringify({ ...JSON.parse(text), services: {} }));
    expect(fileOf().read()).toBeUndefined();
  });

  test('is not replaced by a state without a ClusterNetwork, and a folder that is gone is no end', async () => {
    await keep();
    await keep(aSnapshot({ nodes: [aNode(1)] }));
    expect(fileOf().read()?.snapshot).toEqual(SNAPSHOT);
    const file = new SnapshotFile({ path: '/nowhere/x', owner: OWNER, onTrouble: (error) => troubles.push(error) });
    file.put(SNAPSHOT);
    await file.close();
    expect(troubles).toMatchObject([{ code: 'ENOENT' }]);
  });

  test('is written at once, then after a while with the newest, and at the end', async () => {
    const file = fileOf({}, 3_600_000);
    const at = (count: number) =>
      aSnapshot({ network: aNetwork(), nodes: Array.from({ length: count }, (_, i) => aNode(i)) });
    file.put(at(1));
    await vi.waitFor(() => expect(fileOf().read()?.snapshot.nodes.size).toBe(1), { timeout: 10_000 });
    file.put(at(2));
    file.put(at(3));
    expect(fileOf().read()?.snapshot.nodes.size).toBe(1);
    await file.close();
    expect(fileOf().read()?.snapshot.nodes.size).toBe(3);
  });
});

describe('a source that nobody answers', () => {
  let deliver: (snapshot: Snapshot) => void;
  let told: string[];
  let seen: Snapshot[];

  const open = (patience: number): KeptSource => {
    const first = Promise.withResolvers<void>();
    [told, seen] = [[], []];
    return new KeptSource({
      source: {
        kind: 'kubernetes',
        where: OWNER.where,
        start: (onSnapshot) => {
          deliver = (snapshot) => {
            onSnapshot(snapshot);
            first.resolve();
          };
          return first.promise;
        },
        close: async () => undefined,
      },
      file: fileOf(),
      onKept: (time) => told.push(time),
      patience,
    });
  };

  test('starts from what was known, and goes on with what comes', async () => {
    await keep();
    const source = open(1);
    await source.start((snapshot) => seen.push(snapshot));
    expect(seen).toEqual([SNAPSHOT]);
    expect([source.kept]).toEqual(told);
    const newer = aSnapshot({ network: aNetwork(), nodes: [aNode(3)] });
    deliver(newer);
    expect([seen.length, source.kept]).toEqual([2, undefined]);
    await source.close();
    expect(fileOf().read()?.snapshot).toEqual(newer);
  });

  test('has priority when it answers in time', async () => {
    await keep();
    const source = open(3_600_000);
    const started = source.start((snapshot) => seen.push(snapshot));
    deliver(aSnapshot({ network: aNetwork() }));
    await started;
    expect([seen.length, told.length, source.kept]).toEqual([1, 0, undefined]);
    await source.close();
  });

  test('is waited for when nothing is known', async () => {
    const source = open(1);
    let started = false;
    const starting = source.start((snapshot) => seen.push(snapshot)).then(() => (started = true));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([started, seen.length]).toEqual([false, 0]);
    deliver(SNAPSHOT);
    await starting;
    await source.close();
    expect(fileOf().read()?.snapshot).toEqual(SNAPSHOT);
  });
});
