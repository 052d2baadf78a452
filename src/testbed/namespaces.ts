// Network namespaces and what is in them, by `ip -batch` and files below /proc/sys.
import { existsSync, readdirSync } from 'node:fs';
import type { Family } from '../model/address.js';
import { capture, run } from './command.js';

/** Runs many `ip` operations in one process; a rule takes its family from the whole batch. */
export async function batch(netns: string | undefined, lines: readonly string[], family?: Family): Promise<void> {
  const input = `${lines.join('\n')}\n`;
  const flags = [...(family === 'ipv6' ? ['-6'] : []), ...(netns ? ['-n', netns] : [])];
  await run(['ip', ...flags, '-batch', '-'], { input });
}

/** Deletes namespaces that exist; returns what the kernel refused. */
export async function deleteNamespaces(names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const input = names.map((name) => `netns del ${name}\n`).join('');
  const result = await capture(['ip', '-force', '-batch', '-'], { input });
  return result.status === 0 ? [] : result.stderr.trim().split('\n');
}

/** Those of the names that are namespaces now. */
export function existingNamespaces(names: readonly string[]): string[] {
  const present = existsSync('/run/netns') ? new Set(readdirSync('/run/netns')) : new Set<string>();
  return names.filter((name) => present.has(name));
}

/** Each setting as `net/ipv4/ip_forward=1`. */
export async function setSysctls(netns: string, settings: readonly string[]): Promise<void> {
  const script = settings
    .map((setting) => `echo ${setting.split('=')[1]} > /proc/sys/${setting.split('=')[0]}`)
    .join(' && ');
  await run(['/bin/sh', '-c', script], { netns });
}
