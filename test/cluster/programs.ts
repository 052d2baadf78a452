// Where the programs of a cluster are, and why one cannot be had here.
import { existsSync, readFileSync } from 'node:fs';
import { capture } from '../../src/testbed/command.js';
import { ROOT } from '../../src/testbed/files.js';
import { LOOPBACK } from './node.js';

/** The directory with etcd, kube-apiserver and the others, or why there is none. */
export interface Programs {
  readonly directory: string;
}

const FROM_PACKAGES = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  openssl: 'openssl',
  mmdebstrap: 'mmdebstrap',
};

/** The programs; a sentence when something is missing. */
export async function findPrograms(): Promise<Programs | string> {
  const obstacle = kernelObstacle() ?? packageObstacle();
  if (obstacle !== undefined) return obstacle;
  const found = await capture(['bash', `${ROOT}/scripts/cluster-programs.sh`, '--find']);
  return found.status === 0 ? { directory: found.stdout.trim() } : found.stderr.trim().replace(/^error: /, '');
}

function kernelObstacle(): string | undefined {
  if (process.geteuid?.() !== 0) return 'namespaces and mounts need root';
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const has = (type: string): boolean => mounts.some((fields) => fields[2] === type);
  if (has('cgroup') && has('cgroup2')) return undefined;
  return 'machines are made for hosts with controllers of cgroup v1 and cgroup2 beside them, and /proc/mounts has not both';
}

function packageObstacle(): string | undefined {
  const path = (process.env.PATH ?? '').split(':');
  const missing = Object.entries(FROM_PACKAGES)
    .filter(([program]) => !path.some((directory) => existsSync(`${directory}/${program}`)))
    .map(([, name]) => name);
  if (!existsSync(LOOPBACK)) missing.push('containernetworking-plugins');
  if (missing.length === 0) return undefined;
  return `not installed (names of Debian packages): ${[...new Set(missing)].join(', ')}. Run: npm run setup -- --cluster`;
}
