// Compiling the datapath: when it happens, and what is said when it cannot.
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { compileDatapath } from '../../src/bpf/compile.js';

const SOURCE = 'int answer(void) { return 42; }\n';

let folder: string;
let sourceDir: string;
let outputDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ist-compile-'));
  sourceDir = join(folder, 'bpf');
  outputDir = join(folder, 'out');
  mkdirSync(join(sourceDir, 'lib'), { recursive: true });
  writeFileSync(join(sourceDir, 'datapath.bpf.c'), `#include "lib/one.h"\n${SOURCE}`);
  writeFileSync(join(sourceDir, 'lib/one.h'), '');
  return () => rmSync(folder, { recursive: true });
});
afterEach(() => vi.unstubAllEnvs());

const auto = (): ReturnType<typeof compileDatapath> => compileDatapath({ sourceDir, outputDir, mode: 'auto' });

describe('compileDatapath', () => {
  it('compiles a missing object once', async () => {
    const first = await auto();
    expect(first).toMatchObject({ compiled: true, objectPath: join(outputDir, 'datapath.bpf.o') });
    expect(readFileSync(first.objectPath).subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    expect(await auto()).toEqual({ ...first, compiled: false });
  });

  it.each([
    ['a source', () => writeFileSync(join(sourceDir, 'datapath.bpf.c'), SOURCE)],
    ['a header', () => writeFileSync(join(sourceDir, 'lib/one.h'), '/* changed */')],
    ['the set of files', () => writeFileSync(join(sourceDir, 'lib/two.h'), '')],
  ])('compiles again when %s changed', async (_, change) => {
    const { sourceHash } = await auto();
    change();
    const second = await auto();
    expect(second.compiled).toBe(true);
    expect(second.sourceHash).not.toBe(sourceHash);
  });

  it('compiles always when told so', async () => {
    await auto();
    expect((await compileDatapath({ sourceDir, outputDir, mode: 'always' })).compiled).toBe(true);
  });

  it('gives the same hash to the same sources elsewhere', async () => {
    const { sourceHash } = await auto();
    cpSync(sourceDir, join(folder, 'copy'), { recursive: true });
    const copy = await compileDatapath({
      sourceDir: join(folder, 'copy'),
      outputDir: join(folder, 'o2'),
      mode: 'auto',
    });
    expect(copy.sourceHash).toBe(sourceHash);
  });

  it('refuses a stale or missing object when it must not compile', async () => {
    const never = { sourceDir, outputDir, mode: 'never' } as const;
    await expect(compileDatapath(never)).rejects.toThrow(/datapath\.bpf\.o is missing, and compiling is switched off/);
    await auto();
    expect((await compileDatapath(never)).compiled).toBe(false);
    writeFileSync(join(sourceDir, 'lib/one.h'), '/* changed */');
    await expect(compileDatapath(never)).rejects.toMatchObject({ code: 'ERR_STALE_OBJECT' });
  });

  it('uses an object that came without sources', async () => {
    const { objectPath, sourceHash } = await auto();
    const empty = join(folder, 'empty');
    expect(await compileDatapath({ sourceDir: empty, outputDir, mode: 'auto' })).toEqual({
      ...{ objectPath, sourceHash, compiled: false },
    });
    await expect(compileDatapath({ sourceDir: empty, outputDir: empty, mode: 'auto' })).rejects.toMatchObject({
      code: 'ERR_NO_SOURCE',
    });
  });

  it('keeps the old object and shows the complaint when the source is wrong', async () => {
    const { objectPath } = await auto();
    const before = readFileSync(objectPath);
    writeFileSync(join(sourceDir, 'datapath.bpf.c'), 'int answer(void) { return nothing; }\n');
    await expect(auto()).rejects.toThrow(/refused .*datapath\.bpf\.c; no object was made:\n.*undeclared identifier/s);
    expect(readFileSync(objectPath)).toEqual(before);
  });

  it('says what to install when there is no compiler', async () => {
    vi.stubEnv('PATH', join(folder, 'nowhere'));
    await expect(auto()).rejects.toThrow(/none of clang-19, .* is in PATH; install clang 14 or newer/);
  });

  it('takes a compiler that is found by another name', async () => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'clang'), '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nprintf made >"$2"\n');
    chmodSync(join(bin, 'clang'), 0o755);
    copyFileSync('/bin/sh', join(bin, 'sh'));
    vi.stubEnv('PATH', bin);
    expect(readFileSync((await auto()).objectPath, 'utf8')).toBe('made');
  });
});
