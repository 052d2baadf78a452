// A cluster goes away with the process that holds it, however that process ends.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { until } from '../../src/testbed/command.js';
import { ROOT } from '../../src/testbed/files.js';
import { listResidents } from '../../src/testbed/residents.js';
import { allNamespaces, PREFIX, planCluster } from './plan.js';
import { findPrograms } from './programs.js';

const programs = await findPrograms();
const reason = typeof programs === 'string' ? ` (skipped: ${programs})` : '';
const NAMES = allNamespaces(planCluster(''));

/** Everything of a cluster that can be left behind. */
function remains(): string[] {
  const named = (folder: string): string[] => {
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder).filter((name) => name.startsWith(PREFIX) || name.startsWith('ist-cluster-'));
    return names.map((name) => `${folder}/${name}`);
  };
  const hierarchies = readdirSync('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}`);
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes('/ist-cluster-'));
  const processes = listResidents(NAMES).map(({ pid, command }) => `${pid} ${command}`);
  return [...['/run/netns', '/dev/shm', '/tmp', ...hierarchies].flatMap(named), ...mounts, ...processes];
}

test.skipIf(typeof programs === 'string')(
  `kill -9 of the process that holds a cluster removes all of it${reason}`,
  async () => {
    const tunables = ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops'];
    const values = (): string[] => tunables.map((name) => readFileSync(`/proc/sys/${name}`, 'utf8'));
    const before = values();
    expect(remains()).toEqual([]);
    const holder = spawn(process.execPath, [`${ROOT}/build/test/cluster/main.js`, 'none'], { stdio: 'pipe' });
    let said = '';
    holder.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    holder.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const built = await until(() => said.includes('Ctrl-C') || holder.exitCode !== null, 200_000);
    expect(built && holder.exitCode === null, said).toBe(true);
    holder.kill('SIGKILL');
    expect(await until(() => remains().length === 0, 60_000), remains().join('\n')).toBe(true);
    expect(values(), 'the kernel settings that kubelets like').toEqual(before);
  },
  300_000,
);
