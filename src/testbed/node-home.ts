// What a node needs beside its network namespace: a state directory, a bpffs of its own and a cgroup of its own.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { capture, run, until } from './command.js';
import { TestbedError } from './error.js';
import type { TestNode } from './node.js';

/** Where the node's agent pins: a mount of its own, so that names never meet another node's. */
export function bpffsOf(node: TestNode): string {
  return `${node.stateDir}/bpf`;
}

export function cgroupOf(node: TestNode): string {
  return `${cgroupRoot()}/${node.netns}`;
}

/** The v2 hierarchy: the only one that programs attach to. Throws TestbedError on a host without. */
export function cgroupRoot(): string {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const unified = mounts.map((line) => line.split(' ')).find((fields) => fields[2] === 'cgroup2');
  if (unified?.[1]) return unified[1];
  throw new TestbedError('no cgroup2 mount in /proc/mounts: the bind guard needs one. Nothing was changed.');
}

/** Creates the homes of nodes. */
export async function createHomes(nodes: readonly TestNode[]): Promise<void> {
  for (const node of nodes) {
    mkdirSync(`${node.stateDir}/manifests`, { recursive: true });
    mkdirSync(bpffsOf(node), { recursive: true });
    mkdirSync(cgroupOf(node), { recursive: true });
    await run(['mount', '-t', 'bpf', 'bpf', bpffsOf(node)]);
  }
}

/** Unmounts and removes; returns what could not be removed. Its processes must have been killed. */
export async function removeHomes(nodes: readonly TestNode[]): Promise<string[]> {
  const left: string[] = [];
  for (const node of nodes) {
    if (isMountPoint(bpffsOf(node)) && !(await unmount(bpffsOf(node)))) left.push(`mount ${bpffsOf(node)}`);
    if (existsSync(cgroupOf(node)) && !(await removeCgroup(cgroupOf(node)))) left.push(`cgroup ${cgroupOf(node)}`);
  }
  return left;
}

function isMountPoint(path: string): boolean {
  return existsSync(path) && statSync(path).dev !== statSync(`${path}/..`).dev;
}

async function unmount(path: string): Promise<boolean> {
  if ((await capture(['umount', path])).status === 0) return true;
  // Somebody looks inside; detached now, the kernel frees it when they leave.
  return (await capture(['umount', '--lazy', path])).status === 0;
}

/** Kills who is inside first: also a process that has not entered its network namespace yet. */
async function removeCgroup(path: string): Promise<boolean> {
  writeFileSync(`${path}/cgroup.kill`, '1');
  return until(() => tryRemoveCgroup(path), 2000);
}

function tryRemoveCgroup(path: string): boolean {
  try {
    const children = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const child of children) rmdirSync(`${path}/${child.name}`);
    rmdirSync(path);
    return true;
  } catch {
    return !existsSync(path);
  }
}
