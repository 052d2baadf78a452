// Removes a testbed, whole or half-built: processes, mounts, cgroups, namespaces, files.
import { rmSync } from 'node:fs';
import { detourNamespaces } from '../net/detour.js';
import { deleteNamespaces, existingNamespaces } from './namespaces.js';
import type { TestNode } from './node.js';
import { removeHomes } from './node-home.js';
import { evict } from './residents.js';

export interface Testbed {
  /** Names of all its namespaces, whether they exist or not. */
  readonly namespaces: readonly string[];
  readonly nodes: readonly TestNode[];
  /** Holds the nodes' state directories and whatever else was written. */
  readonly directory: string;
}

/** Returns what stayed; empty when nothing is left. Nothing to remove is not an error. */
export async function removeTestbed(testbed: Testbed): Promise<string[]> {
  const { nodes, directory } = testbed;
  const detours = nodes.flatMap(({ name }) => detourNamespaces(name));
  const namespaces = [...detours, ...testbed.namespaces];
  await evict(existingNamespaces(namespaces));
  const homes = await removeHomes(nodes);
  // Once more: one that was just being started may have entered in between.
  const stayed = await evict(existingNamespaces(namespaces));
  const undeleted = await deleteNamespaces(existingNamespaces(namespaces));
  return [
    ...stayed.map((resident) => `process ${resident.pid} in ${resident.netns} (${resident.command})`),
    ...homes,
    ...undeleted,
    ...removeFiles(directory, homes),
  ];
}

/** Not below a mount that stayed: what is in there belongs to the kernel. */
function removeFiles(directory: string, homes: readonly string[]): string[] {
  if (homes.some((left) => left.startsWith('mount'))) return [];
  try {
    rmSync(directory, { recursive: true, force: true });
    return [];
  } catch (error) {
    return [`${directory} (${(error as Error).message})`];
  }
}
