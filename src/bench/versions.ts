// Versions of what the figures depend on, beside the kernel.
import { readFileSync } from 'node:fs';
import { compilerVersion } from '../bpf/clang.js';
import { ROOT } from '../testbed/files.js';

/** Of ours and of the peers' tools, by name. */
export async function listVersions(peers: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
  const compiler = await compilerVersion();
  return {
    isthmus: version,
    node: process.version,
    ...(compiler === undefined ? {} : { clang: compiler }),
    ...peers,
  };
}
