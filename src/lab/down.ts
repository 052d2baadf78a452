// Removes the lab, whole or half-built: processes, mounts, cgroups, namespaces, files; says what it could not remove.
import { existsSync, readdirSync } from 'node:fs';
import { detourNamespaces } from '../net/detour.js';
import { removeHomes } from './node-home.js';
import type { LabPlan } from './plan.js';
import { allNamespaces, allNodes, LAB_DIR, planLab } from './plan.js';
import { deleteRecord } from './record.js';
import { evict } from './residents.js';
import { deleteNamespaces } from './topology.js';

/** Returns what stayed; empty when nothing of the lab is left. Nothing to remove is not an error. */
export async function takeDown(): Promise<string[]> {
  // Names do not depend on the mode, so that a lab without a record is removed too.
  const plan = planLab('island');
  await evict(existing(plan));
  const homes = await removeHomes(plan);
  // Once more: one that was just being started may have entered in between.
  const stayed = await evict(existing(plan));
  const namespaces = await deleteNamespaces(existing(plan));
  return [
    ...stayed.map((resident) => `process ${resident.pid} in ${resident.netns} (${resident.command})`),
    ...homes,
    ...namespaces,
    ...removeFiles(homes),
  ];
}

function existing(plan: LabPlan): string[] {
  const names = existsSync('/run/netns') ? new Set(readdirSync('/run/netns')) : new Set<string>();
  const detours = allNodes(plan).flatMap((node) => detourNamespaces(node.name));
  return [...detours, ...allNamespaces(plan)].filter((name) => names.has(name));
}

/** Not below a mount that stayed: what is in there belongs to the kernel. */
function removeFiles(homes: readonly string[]): string[] {
  if (homes.some((left) => left.startsWith('mount'))) return [];
  try {
    deleteRecord();
    return [];
  } catch (error) {
    return [`${LAB_DIR} (${(error as Error).message})`];
  }
}
