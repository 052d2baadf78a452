// What a node needs beside its network namespace: a state directory, a bpffs of its own and a cgroup of its own.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { capture, run, until } from './command.js';
import type { LabNode, LabPlan } from './plan.js';
import { allNodes } from './plan.js';
import { LabError } from './record.js';

/** Where the node's agent pins: a mount of its own, so that names never meet another node's. */
export function bpffsOf(node: LabNode): string {
  return `${node.stateDir}/bpf`;
}

export function cgroupOf(node: LabNode): string {
  return `${cgroupRoot()}/${node.netns}`;
}

/** The v2 hierarchy: the only one that programs attach to. Throws LabError on a host without. */
export function cgroupRoot(): string {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const unified = mounts.map((line) => line.split(' ')).find((fields) => fields[2] === 'cgroup2');
  if (unified?.[1]) return unified[1];
  throw new LabError('no cgroup2 mount in /proc/mounts: the bind guard needs one. Nothing was changed.');
}

/** Creates the homes of all nodes. */
export async function createHomes(plan: LabPlan): Promise<void> {
  for (const node of allNodes(plan)) {
    mkdirSync(`${node.stateDir}/manifests`, { recursive: true });
    mkdirSync(bpffsOf(node), { recursive: true });
    mkdirSync(cgroupOf(node), { recursive: true });
    await run(['mount', '-t', 'bpf', 'bpf', bpffsOf(node)]);
  }
}

/** Unmounts and removes; returns what could not be removed. Its processes must have been killed. */
export async function removeHomes(plan: LabPlan): Promise<string[]> {
  const left: string[] = [];
  for (const node of allNodes(plan)) {
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
