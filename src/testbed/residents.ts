// Processes that live in a testbed's network namespaces: by construction its own, however they were started.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { until } from './command.js';

export interface Resident {
  readonly pid: number;
  readonly netns: string;
  readonly command: string;
}

/** Every process whose network namespace is one of the named ones; a name that does not exist has none. */
export function listResidents(names: readonly string[]): Resident[] {
  const byInode = new Map<string, string>();
  for (const name of names) {
    const inode = inodeOf(`/run/netns/${name}`);
    if (inode !== undefined) byInode.set(`net:[${inode}]`, name);
  }
  if (byInode.size === 0) return [];
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      const netns = byInode.get(linkOf(`/proc/${pid}/ns/net`));
      return netns === undefined ? [] : { pid: Number(pid), netns, command: commandOf(pid) };
    });
}

/** Kills every resident and waits until none is left; returns those that stayed. */
export async function evict(names: readonly string[]): Promise<Resident[]> {
  const gone = await until(() => {
    const residents = listResidents(names);
    for (const resident of residents) kill(resident.pid);
    return residents.length === 0;
  }, 5000);
  return gone ? [] : listResidents(names);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went by itself between the look and the signal.
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}
