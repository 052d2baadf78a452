// Tells whether an object file was made from the C sources that are there now.
import { createHash } from 'node:crypto';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Programs of the benchmark: nothing of the datapath is made from them. */
const APART = /^bench\//;

/** SHA-256, hex, of the names and contents of the .c and .h files that the datapath has, and of the compiler's flags. */
export async function hashSources(directory: string, flags: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(flags.join('\0'));
  for (const path of await sourceFiles(directory)) {
    const text = await readFile(join(directory, path));
    hash.update(`\0${path}\0${text.length}\0`).update(text);
  }
  return hash.digest('hex');
}

async function sourceFiles(directory: string): Promise<string[]> {
  const paths = await readdir(directory, { recursive: true });
  return paths.filter((path) => /\.[ch]$/.test(path) && !APART.test(path)).sort();
}

/** The hash of the sources that an object was made from; undefined when the object or its record is missing. */
export async function recordedHash(objectPath: string): Promise<string | undefined> {
  try {
    await readFile(objectPath);
    return (await readFile(recordOf(objectPath), 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function recordHash(objectPath: string, hash: string): Promise<void> {
  const temporary = `${recordOf(objectPath)}.${process.pid}`;
  await writeFile(temporary, `${hash}\n`);
  await rename(temporary, recordOf(objectPath));
}

function recordOf(objectPath: string): string {
  return `${objectPath}.sha256`;
}
