// One suite for the fake map and the kernel's, so that the fake cannot lie.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BpfMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import type { Flow, FlowKey } from '../../src/datapath/types.gen.js';
import { FakeMap } from '../support/fake-map.js';
import { compileSample, type SampleMaps } from '../support/sample.js';

const MAX_ENTRIES = 5000;

describe('fake map', () => {
  describeContract(() => new FakeMap<FlowKey, Flow>({ maxEntries: MAX_ENTRIES }));
});

describe('kernel map', () => {
  let object: BpfObject<SampleMaps>;
  beforeAll(async () => {
    object = BpfObject.open<SampleMaps>(loadNative(), await compileSample());
    object.setMaxEntries('hash', MAX_ENTRIES);
    await object.load();
  });
  afterAll(() => object.close());
  describeContract(() => {
    const map = object.map('hash');
    map.deleteMany([...map.scan()].map(([key]) => key));
    return map;
  });
});

function describeContract(open: () => BpfMap<FlowKey, Flow>): void {
  let map: BpfMap<FlowKey, Flow>;
  beforeEach(() => {
    map = open();
    return () => map.close();
  });

  it('has nothing at first', async () => {
    expect(map.get(keyOf(1))).toBeUndefined();
    expect(await collect(map)).toEqual([]);
  });

  it('gives back what was set', () => {
    map.set(keyOf(1), flowOf(1));
    expect(map.get(keyOf(1))).toEqual(flowOf(1));
    expect(map.get(keyOf(2))).toBeUndefined();
  });

  it('finds a key whose fields are written in another order', () => {
    map.set(keyOf(1), flowOf(1));
    const { source, ...rest } = keyOf(1);
    expect(map.get({ ...rest, source })).toEqual(flowOf(1));
  });

  it('replaces a value', () => {
    map.set(keyOf(1), flowOf(1));
    map.set(keyOf(1), flowOf(2));
    expect([...map.scan()]).toEqual([[keyOf(1), flowOf(2)]]);
  });

  it('says whether a deleted key was there', () => {
    map.set(keyOf(1), flowOf(1));
    expect(map.delete(keyOf(1))).toBe(true);
    expect(map.delete(keyOf(1))).toBe(false);
    expect(map.get(keyOf(1))).toBeUndefined();
  });

  it('sets and deletes many, and counts only keys that were there', () => {
    map.setMany([1, 2, 3, 4].map((n) => [keyOf(n), flowOf(n)]));
    expect(map.deleteMany([9, 2, 8, 3, 2].map(keyOf))).toBe(2);
    expect([...map.scan()].map(([key]) => key.source_port).sort()).toEqual([1, 4]);
  });

  it('takes empty batches', () => {
    map.setMany([]);
    expect(map.deleteMany([])).toBe(0);
  });

  it('shows every entry once, beyond one chunk', async () => {
    const count = MAX_ENTRIES;
    map.setMany(Array.from({ length: count }, (_, n) => [keyOf(n), flowOf(n)]));
    const seen = await collect(map);
    expect(seen).toHaveLength(count);
    expect(new Set(seen.map(([key]) => key.source_port)).size).toBe(count);
    for (const [key, flow] of seen) expect(flow).toEqual(flowOf(key.source_port));
  });

  it('gives the event loop turns while it is read', async () => {
    map.setMany(Array.from({ length: MAX_ENTRIES }, (_, n) => [keyOf(n), flowOf(n)]));
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    for await (const _ of map.entries()) if (turned) return;
    await new Promise(setImmediate); // the fake is read in one turn
    expect(turned).toBe(true);
  });

  it('refuses one entry too many with E2BIG and keeps the others', () => {
    map.setMany(Array.from({ length: MAX_ENTRIES }, (_, n) => [keyOf(n), flowOf(n)]));
    expect(() => map.set(keyOf(MAX_ENTRIES), flowOf(0))).toThrow(expect.objectContaining({ code: 'E2BIG' }));
    map.set(keyOf(0), flowOf(7));
    expect(map.get(keyOf(0))).toEqual(flowOf(7));
  });

  it('can be deleted from while it is walked', () => {
    map.setMany(Array.from({ length: 1000 }, (_, n) => [keyOf(n), flowOf(n)]));
    for (const [key] of map.scan()) map.delete(key);
    expect([...map.scan()]).toEqual([]);
  });

  it('refuses every call when it is closed', () => {
    const closed = open();
    closed.close();
    expect(() => closed.get(keyOf(1))).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => closed.set(keyOf(1), flowOf(1))).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
}

function keyOf(n: number): FlowKey {
  return { source: '10.0.0.1', destination: 'fd00::1:2', source_port: n, destination_port: 443, protocol: 6 };
}

function flowOf(n: number): Flow {
  return {
    ...{ source: '192.0.2.7', destination: '2001:db8::1', source_port: 36864 + n, destination_port: 443 },
    ...{ ifindex_in: 3, ifindex_out: 4, next_hop: '192.0.2.1', mac: '02:69:73:74:00:01', flags: 9, mtu: 1500 },
    ...{ shift: 5, timestamp: 6, sequence: 7, clock: 8, acknowledged: 9 },
    ...{ seen: n, created: 17, resolved: 0xffff_ffff, packets: BigInt(n) << 40n, bytes: 2n ** 64n - 1n },
    ...{ shift: n, timestamp: 0xffff_fffe, sequence: 5, clock: 6, acknowledged: 0x8000_0001 },
  };
}

async function collect<K, V>(map: BpfMap<K, V>): Promise<(readonly [K, V])[]> {
  const entries: (readonly [K, V])[] = [];
  for await (const entry of map.entries()) entries.push(entry);
  return entries;
}
