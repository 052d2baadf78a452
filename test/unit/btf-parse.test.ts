import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseBtf } from '../../src/btf/parse.js';
import { BtfError, findType, resolve, sizeOf, typeOf } from '../../src/btf/types.js';
import { BtfBuilder } from '../support/btf-builder.js';

const KERNEL = '/sys/kernel/btf/vmlinux';

describe('parseBtf', () => {
  it('reads ints, arrays, structs, enums and what refers to them', () => {
    const builder = new BtfBuilder();
    const u32 = builder.int('unsigned int', 4);
    const seconds = builder.typedef('seconds', builder.constant(u32));
    const list = builder.array(seconds, 3);
    const pair = builder.struct('pair', 16, [
      ['first', u32, 0],
      ['rest', list, 4],
    ]);
    const colour = builder.enum('colour', { RED: 1, BLUE: 2 });
    const btf = parseBtf(builder.build());

    expect(btf[0]).toEqual({ kind: 'void', id: 0, name: 'void' });
    expect(typeOf(btf, u32)).toEqual({ kind: 'int', id: 1, name: 'unsigned int', size: 4, signed: false, bool: false });
    expect(resolve(btf, seconds)).toBe(btf[u32]);
    expect(sizeOf(btf, list)).toBe(12);
    expect(findType(btf, 'struct', 'pair')?.members.map(({ name, bitOffset }) => [name, bitOffset])).toEqual([
      ['first', 0],
      ['rest', 32],
    ]);
    expect(sizeOf(btf, pair)).toBe(16);
    expect(findType(btf, 'enum', 'colour')?.values).toEqual([
      { name: 'RED', value: 1n },
      { name: 'BLUE', value: 2n },
    ]);
    expect(colour).toBe(btf.length - 1);
  });

  it('reads the BTF of the running kernel whole', () => {
    expect(existsSync(KERNEL), `${KERNEL} is missing`).toBe(true);
    const btf = parseBtf(readFileSync(KERNEL));
    expect(findType(btf, 'struct', '__sk_buff')?.size).toBeGreaterThanOrEqual(192);
    expect(findType(btf, 'enum', 'bpf_map_type')?.values).toContainEqual({ name: 'BPF_MAP_TYPE_HASH', value: 1n });
    expect(findType(btf, 'struct', 'iphdr')?.members.at(-1)?.bitOffset).toBe(0x60);
  });

  it('refuses bytes that are not BTF', () => {
    expect(() => parseBtf(Buffer.from('not BTF at all, but long enough'))).toThrow(BtfError);
    expect(() => parseBtf(Buffer.alloc(3))).toThrow(BtfError);
  });

  it('refuses BTF that is cut off anywhere', () => {
    const builder = new BtfBuilder();
    builder.struct('pair', 8, [['first', builder.int('int', 4, { signed: true }), 0]]);
    const bytes = builder.build();
    const names = 24 + bytes.readUInt32LE(12);
    for (let length = 0; length < names; length++) expect(() => parseBtf(bytes.subarray(0, length))).toThrow(BtfError);
  });

  it('says which type a missing id should have been', () => {
    expect(() => typeOf(parseBtf(new BtfBuilder().build()), 7)).toThrow('no type 7 in BTF with 1 types');
  });
});
