// Removes the lab, whole or half-built.
import { removeTestbed } from '../testbed/down.js';
import { allNamespaces, allNodes, LAB_DIR, planLab } from './plan.js';

/** Returns what stayed; empty when nothing of the lab is left. Nothing to remove is not an error. */
export function takeDown(): Promise<string[]> {
  // Names do not depend on the mode, so that a lab without a record is removed too.
  const plan = planLab('island');
  return removeTestbed({ namespaces: allNamespaces(plan), nodes: allNodes(plan), directory: LAB_DIR });
}
