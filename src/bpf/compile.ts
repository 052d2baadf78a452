// Makes the datapath's object from its C sources, when it is missing or stale; the build does it by the same code.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { COMPILER_FLAGS, compileObject } from './clang.js';
import { BpfError } from './error.js';
import { hashSources, recordedHash, recordHash } from './source-hash.js';

/** `auto` compiles a missing or stale object, `always` any, `never` none. */
export type CompileMode = 'auto' | 'always' | 'never';

export interface CompileOptions {
  /** The folder of datapath.bpf.c. */
  readonly sourceDir: string;
  /** Where datapath.bpf.o and the hash of its sources are, or will be. */
  readonly outputDir: string;
  readonly mode: CompileMode;
}

export interface CompiledObject {
  readonly objectPath: string;
  /** SHA-256 (hex) of the sources and flags that the object was made from. */
  readonly sourceHash: string;
  /** Whether it was compiled now. */
  readonly compiled: boolean;
}

export const OBJECT_NAME = 'datapath.bpf.o';
const SOURCE_NAME = 'datapath.bpf.c';

/** Throws BpfError: ERR_STALE_OBJECT, ERR_NO_COMPILER, ERR_NO_SOURCE or ERR_COMPILE. */
export async function compileDatapath({ sourceDir, outputDir, mode }: CompileOptions): Promise<CompiledObject> {
  const objectPath = join(outputDir, OBJECT_NAME);
  const recorded = await recordedHash(objectPath);
  if (!(await exists(join(sourceDir, SOURCE_NAME)))) return withoutSources({ sourceDir, objectPath, recorded });
  const sourceHash = await hashSources(sourceDir, COMPILER_FLAGS);
  const fresh = recorded === sourceHash;
  if (fresh && mode !== 'always') return { objectPath, sourceHash, compiled: false };
  if (mode === 'never') throw staleError(objectPath, recorded);
  await compileObject({ source: join(sourceDir, SOURCE_NAME), includeDir: sourceDir, objectPath });
  await recordHash(objectPath, sourceHash);
  return { objectPath, sourceHash, compiled: true };
}

interface WithoutSources {
  readonly sourceDir: string;
  readonly objectPath: string;
  readonly recorded: string | undefined;
}

/** An image may ship the object alone: then there is nothing that it could be older than. */
function withoutSources({ sourceDir, objectPath, recorded }: WithoutSources): CompiledObject {
  if (recorded !== undefined) return { objectPath, sourceHash: recorded, compiled: false };
  throw new BpfError(
    `no datapath: neither ${objectPath} nor its source ${join(sourceDir, SOURCE_NAME)} is there; install one of them`,
    { code: 'ERR_NO_SOURCE' },
  );
}

function staleError(objectPath: string, recorded: string | undefined): BpfError {
  const why = recorded === undefined ? 'is missing' : 'was made from other sources than those installed';
  return new BpfError(
    `${objectPath} ${why}, and compiling is switched off; run \`npm run build\`, or allow compiling`,
    {
      code: 'ERR_STALE_OBJECT',
    },
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
