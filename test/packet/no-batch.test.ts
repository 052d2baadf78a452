// A map type for which the kernel has no batch calls: every call falls back to single ones.
import { expect, it } from 'vitest';
import { loadNative, type NativeMap } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import { describeIsolated } from '../support/isolated.js';
import { compileSample, type SampleMaps } from '../support/sample.js';

const LOOPBACK = 1;

describeIsolated('a map without batch calls', import.meta.filename, () => {
  it('is written, walked and emptied all the same', async () => {
    const object = loadNative().openObject(await compileSample());
    await object.load();
    const map = object.map('devices');
    map.updateBatch(words(3, 1, 2), words(LOOPBACK, LOOPBACK, LOOPBACK), 3);
    expect(keysOf(map)).toEqual([1, 2, 3]);
    expect(map.deleteBatch(words(1, 7, 3), 3)).toBe(2);
    expect(keysOf(map)).toEqual([2]);
    expect(() => map.updateBatch(words(5), words(4242), 1)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    map.close();
    object.close();
  });

  it('is not read as something else when its layout is unknown', async () => {
    using object = BpfObject.open<SampleMaps>(loadNative(), await compileSample());
    await object.load();
    expect(() => object.map('devices')).toThrow('cannot read map devices: its layout is not in BTF');
  });
});

function words(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

/** Reads two at a time, so that the walk goes on from where it was. */
function keysOf(map: NativeMap): number[] {
  const keys: number[] = [];
  const iterator = map.iterate();
  for (let chunk = iterator.next(2); chunk !== undefined; chunk = iterator.next(2)) {
    for (let index = 0; index < chunk.count; index++) keys.push(chunk.keys.readUInt32LE(index * 4));
  }
  return keys.toSorted((a, b) => a - b);
}
