// The typed object on the real kernel: configuration, loading, running, maps of every type, events.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadNative } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import type { RingEvent } from '../../src/bpf/ring-buffer.js';
import { compileSample, type SampleConfig, type SampleMaps } from '../support/sample.js';

type Sample = BpfObject<SampleMaps, SampleConfig>;

const native = loadNative();
const FRAME = Buffer.alloc(64, 0x11);
/** Offset of `mark` in struct __sk_buff, and its size. */
const MARK = 8;
const SKB_BYTES = 192;

let path: string;
beforeAll(async () => {
  path = await compileSample();
});

function openSample(): Sample {
  return BpfObject.open<SampleMaps, SampleConfig>(native, path);
}

async function loadSample(config: Partial<SampleConfig> = {}): Promise<Sample> {
  const object = openSample();
  object.configure(config);
  await object.load();
  return object;
}

describe('an object before load', () => {
  it('lists its maps with sizes and types, and its programs', () => {
    using object = openSample();
    expect(object.maps().find(({ name }) => name === 'hash')).toMatchObject({
      ...{ type: 1, id: 0, keySize: 40, maxEntries: 262144, flags: 1 },
      keyTypeId: expect.any(Number),
    });
    expect(object.programs().map(({ name, section, id }) => [name, section, id])).toContainEqual([
      'mark_packet',
      'tc',
      0,
    ]);
  });

  it('keeps the fields of the configuration that are not set', () => {
    using object = openSample();
    expect(object.config).toEqual({ mark: 0, gateway: '::' });
    object.configure({ gateway: '169.254.1.1' });
    object.configure({ mark: 9 });
    expect(object.config).toEqual({ mark: 9, gateway: '169.254.1.1' });
  });

  it('names the field that does not fit', () => {
    using object = openSample();
    expect(() => object.configure({ mark: -1 })).toThrow('mark: -1 is not an integer');
  });

  it('says which file is missing', () => {
    expect(() => BpfObject.open(native, '/nonexistent/x.o')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });
});

describe('a loaded object', () => {
  let object: Sample;
  beforeAll(async () => {
    object = await loadSample({ mark: 77 });
  });
  afterAll(() => object.close());

  it('runs a program on a packet with its configuration', () => {
    const program = object.program('mark_packet');
    const { retval, data, context } = program.testRun({ data: FRAME, context: Buffer.alloc(SKB_BYTES) });
    program.close();
    expect(retval).toBe(0);
    expect(data).toEqual(FRAME);
    expect(context.readUInt32LE(MARK)).toBe(77);
  });

  it('repeats a run and tells how long one takes', () => {
    const program = object.program('pass_frame');
    const { retval, duration } = program.testRun({ data: FRAME, repeat: 1000 });
    program.close();
    expect(retval).toBe(2);
    expect(duration).toBeLessThan(10_000);
  });

  it('runs a syscall program off the event loop', async () => {
    const program = object.program('add_amount');
    const { retval, context } = await program.run({ context: Buffer.from(Uint32Array.of(5, 1).buffer) });
    program.close();
    expect(retval).toBe(5);
    expect(context.readUInt32LE(4)).toBe(6);
  });

  it('reports what the verifier and the compiler of the kernel made', () => {
    const program = object.program('mark_packet');
    expect(program.info).toMatchObject({ name: 'mark_packet', section: 'tc', type: 3 });
    expect(program.info.tag).toMatch(/^[0-9a-f]{16}$/);
    expect(program.info.instructions).toBeGreaterThan(10);
    program.close();
  });

  it('reads per-CPU values as one value a CPU', () => {
    using map = object.map('percpu_hash');
    const key = { reason: 3, direction: 1 };
    const values = Array.from({ length: native.possibleCpus }, (_, cpu) => ({ packets: BigInt(cpu), bytes: 7n }));
    map.set(key, values);
    expect(map.get(key)).toEqual(values);
    expect([...map.scan()]).toContainEqual([key, values]);
  });

  it('reads per-CPU values that are not a multiple of 8 bytes', () => {
    using map = object.map('percpu_array');
    const values = Array.from({ length: native.possibleCpus }, (_, cpu) => cpu + 1);
    map.setMany([[2, values]]);
    expect([...map.scan()]).toEqual([0, 1, 2, 3].map((slot) => [slot, slot === 2 ? values : values.map(() => 0)]));
  });

  it('walks and empties a longest-prefix trie', () => {
    using map = object.map('trie');
    const entries = Array.from(
      { length: 3000 },
      (_, n) =>
        [
          { prefix_length: 120, prefix: `10.${n >> 8}.${n & 255}.0` },
          { type: 1, next_hop: '192.0.2.1' },
        ] as const,
    );
    map.setMany(entries);
    const seen = [...map.scan()];
    expect(new Set(seen.map(([key]) => key.prefix)).size).toBe(3000);
    expect(map.get({ prefix_length: 128, prefix: '10.1.2.3' })).toEqual({ type: 1, next_hop: '192.0.2.1' });
    expect(map.deleteMany(entries.map(([key]) => key))).toBe(3000);
    expect([...map.scan()]).toEqual([]);
  });

  it('shows every slot of an array', () => {
    using map = object.map('array');
    map.set(5, 2n ** 40n);
    expect(map.get(5)).toBe(2n ** 40n);
    expect([...map.scan()].map(([slot]) => slot)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(() => map.delete(5)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
  });

  it('delivers events as the structs that they say they are', async () => {
    const program = object.program('mark_packet');
    const events = await new Promise<readonly RingEvent[]>((resolve) => {
      const reader = object.readEvents('events', (batch) => {
        reader.close();
        resolve(batch);
      });
      program.testRun({ data: FRAME, repeat: 3 });
    });
    program.close();
    expect(events.length).toBeGreaterThanOrEqual(3);
    expect(events.at(-1)).toEqual({
      type: 'sample_event',
      value: {
        header: { type: expect.any(Number), cpu: expect.any(Number), time: expect.any(BigInt) },
        colour: 'COLOUR_BLUE',
        length: 64,
      },
    });
  });

  it('refuses maps and programs that are not there', () => {
    expect(() => object.program('nothing')).toThrow("find program 'nothing'");
    expect(() => object.map('nothing' as 'hash')).toThrow('no map nothing');
  });

  it('refuses to be configured any more', () => {
    expect(() => object.configure({ mark: 1 })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(EBUSY|EINVAL)$/) }),
    );
  });
});

describe('a program that the verifier refuses', () => {
  it('is an error with the end of its log', async () => {
    using object = openSample();
    object.setAutoload('read_past_end', true);
    const error: unknown = await object.load().catch((refused: unknown) => refused);
    expect(error).toMatchObject({ name: 'Error', code: 'EACCES', log: expect.stringContaining('read_past_end') });
    expect(error).toMatchObject({ log: expect.stringMatching(/prohibited|invalid/) });
  });

  it('leaves the object alone while it is being loaded', async () => {
    using object = openSample();
    const loading = object.load();
    expect(() => object.maps()).toThrow(expect.objectContaining({ code: 'EBUSY' }));
    await loading;
  });
});
