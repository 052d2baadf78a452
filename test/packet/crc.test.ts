// CRC32c by differences against the whole sum over messages of every length that a packet can have.
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compileObject } from '../../src/bpf/clang.js';
import { loadNative, type NativeProgram } from '../../src/bpf/native.js';
import { BpfObject } from '../../src/bpf/object.js';
import { crc32c } from '../support/crc.js';
import { describeIsolated } from '../support/isolated.js';

const ROOT = join(import.meta.dirname, '../..');
const LONGEST = 0xffff;

describeIsolated('crc', import.meta.filename, () => {
  let object: BpfObject<Record<string, never>, never>;
  let program: NativeProgram;
  beforeAll(async () => {
    const objectPath = join(ROOT, 'build/test-objects/crc.bpf.o');
    const source = join(ROOT, 'test/support/crc.bpf.c');
    await compileObject({ source, includeDir: join(ROOT, 'bpf'), objectPath });
    object = BpfObject.open(loadNative(), objectPath);
    await object.load();
    program = object.program('shift_crc');
  });
  afterAll(() => {
    program?.close();
    object?.close();
  });

  /** What the kernel side makes of a message's CRC when its first four bytes change. */
  async function changed(crc: number, difference: number, bytes: number): Promise<number> {
    const context = Buffer.alloc(12);
    context.writeUInt32LE(difference, 0);
    context.writeUInt32LE(bytes, 4);
    const result = await program.run({ context });
    return (crc ^ result.context.readUInt32LE(8)) >>> 0;
  }

  it('the reference has the value that everybody prints (RFC 3720 appendix B.4)', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  });

  async function expectChange(length: number, [before, after, seed]: readonly [number, number, number]): Promise<void> {
    const message = Buffer.alloc(length);
    for (let at = 0; at < length; at++) message[at] = (seed + at * 7) ^ (at >> 8);
    message.writeUInt32LE(before, 0);
    const crc = crc32c(message);
    message.writeUInt32LE(after, 0);
    expect(await changed(crc, (before ^ after) >>> 0, length)).toBe(crc32c(message));
  }

  it('whatever four bytes change, in a message of any length', async () => {
    const word = fc.nat(0xffffffff);
    const arbitrary = fc.tuple(fc.integer({ min: 12, max: LONGEST }), fc.tuple(word, word, fc.nat(255)));
    await fc.assert(
      fc.asyncProperty(arbitrary, ([length, words]) => expectChange(length, words)),
      { numRuns: 200 },
    );
  });

  it('each power by itself', async () => {
    for (let bit = 4; bit < 16; bit++) await expectChange(1 << bit, [0x12345678, 0x9abcdef0, bit]);
  });
});
