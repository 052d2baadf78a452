// Pinned maps on the real kernel: read without an object, and taken over by the next one.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { openPinnedMap } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import { describeIsolated, mountBpffs } from '../support/isolated.js';
import { compileSample, type Every, type SampleMaps } from '../support/sample.js';

const native = loadNative();

let path: string;
beforeAll(async () => {
  path = await compileSample();
});

function openSample(): BpfObject<SampleMaps> {
  return BpfObject.open<SampleMaps>(native, path);
}

async function loadSample(): Promise<BpfObject<SampleMaps>> {
  const object = openSample();
  await object.load();
  return object;
}

describeIsolated('pinned maps', import.meta.filename, () => {
  let bpffs: string;
  beforeAll(() => {
    bpffs = mountBpffs();
  });

  it('are read with their own BTF when no object is there', async () => {
    const every: Every = {
      ...{ tiny: 1, flag: true, port: 80, word: 2, negative: -3, large: 4n, deep: -5n, address: '::1', seen: 6 },
      ...{ mac: '02:00:00:00:00:01', name: 'a', colour: 'COLOUR_RED', bytes: Buffer.alloc(4), numbers: [7, 8] },
      ...{ inner: [{ address: '10.0.0.0', mask: '::' }], either: 9, halves: [9, 0], wide: 'WIDE_LARGE' },
    };
    using object = await loadSample();
    object.map('lru').set(1, every);
    object.pinMap('lru', join(bpffs, 'lru'));
    using map = openPinnedMap(native, join(bpffs, 'lru'));
    expect(map.name).toBe('lru');
    expect([...map.scan()]).toEqual([[1, every]]);
  });

  it('go on with their contents and their size in the next object', async () => {
    const pin = join(bpffs, 'array');
    using first = await loadSample();
    first.map('array').set(1, 11n);
    first.pinMap('array', pin);
    using second = openSample();
    expect(second.reuseMap('array', pin)).toBe(true);
    await second.load();
    expect(second.map('array').get(1)).toBe(11n);
  });

  it('that are not there are made new', () => {
    using object = openSample();
    expect(object.reuseMap('hash', join(bpffs, 'nothing'))).toBe(false);
    expect(existsSync(join(bpffs, 'nothing'))).toBe(false);
  });

  it('with another layout are refused, field by field', async () => {
    const pin = join(bpffs, 'other');
    using object = await loadSample();
    object.pinMap('trie', pin);
    using next = openSample();
    expect(() => next.reuseMap('lru', pin)).toThrow(
      expect.objectContaining({ code: 'ERR_LAYOUT', message: expect.stringContaining('lru: type 11 became 9') }),
    );
    expect(next.pinnedMapDifferences('trie', pin)).toEqual([]);
  });

  it('cannot be pinned twice at one place', async () => {
    using object = await loadSample();
    object.pinMap('hash', join(bpffs, 'twice'));
    expect(() => object.pinMap('hash', join(bpffs, 'twice'))).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  });
});
