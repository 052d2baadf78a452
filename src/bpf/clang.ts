// Runs the C compiler: finds the newest clang there is, and shows what it had to say.
import { execFile } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { BpfError, messageOf } from './error.js';

/** Older ones (below 14) miscompile or lack type ids; v3 has 32-bit jumps (5.1). */
const COMPILERS = ['clang-19', 'clang-18', 'clang-17', 'clang-16', 'clang-15', 'clang-14', 'clang'];
/** Hooks and callbacks have signatures that the kernel fixes: not every parameter has a use. */
export const COMPILER_FLAGS = [
  ...['-target', 'bpf', '-mcpu=v3', '-g', '-O2'],
  ...['-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter'],
] as const;

/** Where distributions with several architectures keep asm/types.h. */
const MULTIARCH: Partial<Record<NodeJS.Architecture, string>> = {
  x64: '/usr/include/x86_64-linux-gnu',
  arm64: '/usr/include/aarch64-linux-gnu',
};

export interface Compilation {
  /** A .bpf.c file. */
  readonly source: string;
  /** Where its includes are looked for. */
  readonly includeDir: string;
  /** Replaced only when all went well; its folder is created. */
  readonly objectPath: string;
}

/** Compiles one file to a BPF object with BTF. Throws BpfError: no compiler, or what it complained about. */
export async function compileObject({ source, includeDir, objectPath }: Compilation): Promise<void> {
  const compiler = await findProgram(COMPILERS);
  if (compiler === undefined) {
    throw new BpfError(
      `cannot compile ${source}: none of ${COMPILERS.join(', ')} is in PATH; install clang 14 or newer, or use an ` +
        `object that was compiled elsewhere`,
      { code: 'ERR_NO_COMPILER' },
    );
  }
  await mkdir(dirname(objectPath), { recursive: true });
  const work = await mkdtemp(`${objectPath}.`);
  try {
    const made = join(work, basename(objectPath));
    await run(compiler, [...COMPILER_FLAGS, ...includes(includeDir), '-c', source, '-o', made], source);
    await stripDebug(compiler, made);
    await rename(made, objectPath);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The first line that the compiler says of itself; undefined without one. */
export async function compilerVersion(): Promise<string | undefined> {
  const compiler = await findProgram(COMPILERS);
  if (compiler === undefined) return undefined;
  const { stdout } = await promisify(execFile)(compiler, ['--version']);
  return stdout.split('\n')[0]?.trim();
}

function includes(includeDir: string): string[] {
  const system = MULTIARCH[process.arch];
  return [`-I${includeDir}`, ...(system !== undefined && existsSync(system) ? ['-isystem', system] : [])];
}

async function run(compiler: string, args: readonly string[], source: string): Promise<void> {
  try {
    await promisify(execFile)(compiler, args, { maxBuffer: 16 << 20 });
  } catch (cause) {
    const output = (cause as { stderr?: string }).stderr?.trim() || messageOf(cause);
    throw new BpfError(`${basename(compiler)} refused ${source}; no object was made:\n${output}`, {
      cause,
      code: 'ERR_COMPILE',
    });
  }
}

/** DWARF is three quarters of the file and nobody reads it; BTF stays. Without llvm-strip the object is only larger. */
async function stripDebug(compiler: string, objectPath: string): Promise<void> {
  const strip = await findProgram([basename(compiler).replace('clang', 'llvm-strip')]);
  if (strip !== undefined) await promisify(execFile)(strip, ['-g', objectPath]);
}

async function findProgram(names: readonly string[]): Promise<string | undefined> {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const path of names.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}
