import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadNative } from '../../src/bpf/native.js';
import { SEMANTICS } from '../../src/bpf/semantics.js';
import { type Codec, createCodecs } from '../../src/btf/codec.js';
import { parseBtf } from '../../src/btf/parse.js';
import { type Btf, findType } from '../../src/btf/types.js';
import type { FlowKey } from '../../src/datapath/types.gen.js';
import { formatAddress } from '../../src/model/address.js';
import { compileSample, type Every } from '../support/sample.js';

let btf: Btf;
beforeAll(async () => {
  const object = loadNative().openObject(await compileSample());
  btf = parseBtf(object.btf);
  object.close();
});

function codecOf<T>(name: string): Codec<T> {
  const type = findType(btf, 'struct', name);
  if (type === undefined) throw new Error(`no struct ${name}`);
  return createCodecs(btf, SEMANTICS)<T>(type.id);
}

const EVERY: Every = {
  ...{ tiny: 255, flag: true, port: 0x1234, word: 0x01020304, negative: -2, large: 1n << 63n, deep: -1n },
  ...{ address: '192.0.2.1', mac: '02:00:00:00:00:0a', name: 'eth0', colour: 'COLOUR_BLUE', seen: 5 },
  ...{ bytes: Buffer.of(1, 2, 3, 4), numbers: [1, 65535], inner: [{ address: '::1', mask: 'ffff::' }] },
  ...{ either: 0x00020001, halves: [1, 2], wide: 'WIDE_LARGE' },
};

describe('codec', () => {
  it('shows every kind of field as plain values', () => {
    const codec = codecOf<Every>('every');
    expect(codec.decode(codec.encode(EVERY))).toEqual(EVERY);
  });

  it('writes __be16 and __be32 in network order', () => {
    const bytes = codecOf<Every>('every').encode(EVERY);
    expect([...bytes.subarray(2, 8)]).toEqual([0x12, 0x34, 0x01, 0x02, 0x03, 0x04]);
  });

  it('writes IPv4 as v4-mapped and leaves pads zero', () => {
    const key = { source: '10.0.0.1', destination: '::', source_port: 1, destination_port: 2, protocol: 17 };
    const bytes = codecOf<FlowKey>('flow_key').encode(key);
    expect(bytes.toString('hex')).toBe(`${'0'.repeat(20)}ffff0a000001${'0'.repeat(32)}0001000211000000`);
  });

  it('overwrites all of its bytes, also pads', () => {
    const codec = codecOf<FlowKey>('flow_key');
    const dirty = Buffer.alloc(44, 0xee);
    const key = { source: '::', destination: '::', source_port: 0, destination_port: 0, protocol: 0 };
    codec.encodeInto(key, dirty, 2);
    expect(dirty.toString('hex')).toBe(`eeee${'00'.repeat(40)}eeee`);
  });

  it('gives an unknown enum value as a number and takes it back', () => {
    const codec = codecOf<Every>('every');
    const bytes = codec.encode({ ...EVERY, colour: 99 });
    expect(codec.decode(bytes).colour).toBe(99);
  });

  it('takes either member of a union', () => {
    const codec = codecOf<Every>('every');
    const { either: _, ...halvesOnly } = EVERY;
    expect(codec.decode(codec.encode({ ...halvesOnly, halves: [7, 0] })).either).toBe(7);
  });

  it.each<[string, Partial<Record<keyof Every, unknown>>, string]>([
    ['a number too large', { tiny: 256 }, 'tiny: 256 is not an integer from 0 to 255'],
    ['a fraction', { seen: 1.5 }, 'seen: 1.5 is not an integer'],
    ['a port too large', { port: 65536 }, 'port: 65536 is not an integer from 0 to 65535'],
    ['a number for 64 bits', { large: 1 }, 'large: 1 is not a bigint'],
    ['a negative for an unsigned', { large: -1n }, 'large: -1 is not a bigint from 0'],
    ['text too long', { name: 'eth0.100' }, "name: 'eth0.100' is longer than 6 bytes"],
    ['an unknown name', { colour: 'COLOUR_GREEN' }, "colour: 'COLOUR_GREEN' is not a value of enum colour"],
    ['a wrong address', { address: '10.0.0.256' }, "address: not an IP address: '10.0.0.256'"],
    ['a wrong MAC', { mac: '02:00' }, "mac: '02:00' is not a MAC address"],
    ['too few elements', { numbers: [1] }, 'numbers: 1 elements instead of 2'],
    ['too many bytes', { bytes: Buffer.alloc(5) }, 'bytes: 5 bytes instead of 4'],
    ['a byte too large', { bytes: [1, 2, 3, 256] }, 'bytes: 256 is not a byte'],
    ['a missing field', { flag: undefined }, 'flag: undefined is not a boolean'],
    ['a nested mistake', { inner: [{ address: '::', mask: 'x' }] }, "inner[0].mask: not an IP address: 'x'"],
  ])('refuses %s', (_, fields, message) => {
    expect(() => codecOf<unknown>('every').encode({ ...EVERY, ...fields })).toThrow(message);
  });

  it('refuses too few bytes', () => {
    const codec = codecOf<FlowKey>('flow_key');
    expect(() => codec.decode(Buffer.alloc(39))).toThrow('39 bytes where at least 40 are needed');
    expect(() => codec.decodeMany(Buffer.alloc(79), 2)).toThrow('79 bytes where at least 80 are needed');
  });

  it('round-trips every value', () => {
    const codec = codecOf<Every>('every');
    fc.assert(
      fc.property(everyArbitrary(), (every) => {
        const decoded = codec.decode(codec.encode(every));
        expect(decoded).toEqual({ ...every, halves: decoded.halves });
      }),
    );
  });

  it('round-trips every byte string that has no pads', () => {
    const codec = codecOf<{ address: string; mask: string }>('prefix');
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        expect([...codec.encode(codec.decode(bytes))]).toEqual([...bytes]);
      }),
    );
  });

  it('decodes many at once', () => {
    const count = 10_000;
    const keys = Buffer.alloc(count * codecOf('flow_key').size, 1);
    const decoded = codecOf<FlowKey>('flow_key').decodeMany(keys, count);
    expect(decoded).toHaveLength(count);
    expect(decoded.at(-1)).toEqual(codecOf<FlowKey>('flow_key').decode(keys.subarray(0, codecOf('flow_key').size)));
  });
});

describe('address text', () => {
  it('is the same as the model writes, for every address', () => {
    const codec = codecOf<{ address: string; mask: string }>('prefix');
    const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const bytes = Buffer.alloc(32);
        groups.forEach((value, index) => {
          bytes.writeUInt16BE(value, index * 2);
        });
        expect(codec.decode(bytes).address).toBe(formatAddress(bytes.subarray(0, 16)));
      }),
      { numRuns: 2000 },
    );
  });
});

function everyArbitrary(): fc.Arbitrary<Every> {
  const u8 = fc.integer({ min: 0, max: 0xff });
  const u16 = fc.integer({ min: 0, max: 0xffff });
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const bytes = (length: number): fc.Arbitrary<Buffer> =>
    fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
  const address = bytes(16).map(formatAddress);
  return fc.record({
    ...{ tiny: u8, flag: fc.boolean(), port: u16, word: u32, seen: u32, either: u32 },
    ...{ negative: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) },
    ...{ large: fc.bigInt(0n, 2n ** 64n - 1n), deep: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) },
    ...{ address, mac: bytes(6).map((mac) => (mac.toString('hex').match(/../g) ?? []).join(':')) },
    ...{ name: fc.stringMatching(/^[a-z0-9]{0,6}$/), bytes: bytes(4) },
    colour: fc.oneof(fc.constantFrom('COLOUR_RED', 'COLOUR_BLUE'), fc.constant(12)),
    numbers: fc.array(u16, { minLength: 2, maxLength: 2 }),
    inner: fc.array(fc.record({ address, mask: address }), { minLength: 1, maxLength: 1 }),
    wide: fc.constantFrom('WIDE_LARGE', 3n),
  });
}
