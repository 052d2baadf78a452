// Runs a test file in network and mount namespaces of its own: they vanish with it, also when it is killed.
import { execFile, execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, it } from 'vitest';

/** Seconds that a test file may take; more of them for a longer look at random histories. */
export const TEST_SECONDS = Number(process.env.ISTHMUS_TEST_SECONDS ?? 120);
const ROOT = join(import.meta.dirname, '../..');

/**
 * Declares tests that touch devices or mounts. In the machine's own namespaces it declares one test instead, which
 * runs the same file again inside new ones.
 */
export function describeIsolated(name: string, file: string, body: () => void): void {
  if (process.env.ISTHMUS_ISOLATED === namespaces()) describe(name, body);
  else it(`${name}: in namespaces of its own`, () => runIsolated(file), TEST_SECONDS * 1000);
}

async function runIsolated(file: string): Promise<void> {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const script = `ISTHMUS_ISOLATED="$(readlink /proc/self/ns/net) $(readlink /proc/self/ns/mnt)" exec "$@"`;
  const args = ['--net', '--mount', 'sh', '-c', script, 'sh', process.execPath, vitest, 'run', '--root', ROOT, file];
  const env = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !/^(VITEST|TEST)/.test(variable)));
  await promisify(execFile)('unshare', args, { env }).catch((cause: { stdout?: string; stderr?: string }) => {
    throw new Error(`${file} failed:\n${cause.stdout ?? ''}${cause.stderr ?? ''}`, { cause });
  });
}

function namespaces(): string {
  return `${readlinkSync('/proc/self/ns/net')} ${readlinkSync('/proc/self/ns/mnt')}`;
}

/** Mounts a new bpffs where it belongs, in the namespace of the test: nobody else sees it. */
export function mountBpffs(): string {
  execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf']);
  return '/sys/fs/bpf';
}
