// Versions of what the figures depend on, beside the kernel.
import { readFileSync } from 'node:fs';
import { compilerVersion } from '../bpf/clang.js';
import { capture } from '../testbed/command.js';
import { ROOT } from '../testbed/files.js';

/** Of ours and of the peers' tools, by name. */
export async function listVersions(peers: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
  const compiler = await compilerVersion();
  const commit = await findCommit();
  return {
    isthmus: commit === undefined ? version : `${version}, commit ${commit}`,
    node: process.version,
    ...(compiler === undefined ? {} : { clang: compiler }),
    ...peers,
  };
}

/** Of a clone; ends in `-dirty` when files were changed. undefined elsewhere, or without git. */
async function findCommit(): Promise<string | undefined> {
  const found = await capture(['git', '-C', ROOT, 'describe', '--always', '--dirty']).catch(() => undefined);
  return found?.status === 0 ? found.stdout.trim() : undefined;
}
