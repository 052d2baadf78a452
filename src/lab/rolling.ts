// Replaces all backends of a Service in turn, as a rolling update of their pods does, until it is told to stop.
import { pause } from '../testbed/command.js';
import type { AddressPair } from '../testbed/node.js';
import { waitForChange } from '../testbed/node-agent.js';
import type { Directory } from './directory.js';
import { writeSlices } from './manifests.js';
import { allPods, clusterOf, type LabCluster } from './plan.js';

/** The next one comes before the last one goes. */
const STEPS = [['a'], ['a', 'b'], ['b'], ['b', 'c'], ['c'], ['a', 'c']] as const;
/** More than an agent waits for its directory to be quiet. */
const STEP_MS = 500;

export interface Rolling {
  readonly cluster: string;
  readonly service: string;
}

/** Resolves to the number of changes once `stopped` says so, when the backends are again those of the plan. */
export async function rollBackends(
  directory: Directory,
  { cluster: name, service }: Rolling,
  stopped: () => boolean,
): Promise<number> {
  const cluster = clusterOf(directory.plan, name);
  const addresses = addressesOf(directory, name);
  let changes = 0;
  // The plan's backends are a step, too: it does not end with that one, or restoring them would be no change to wait for.
  for (; !stopped() || isPlanned(cluster, service, stepOf(changes - 1)); changes++) {
    writeSlices(withBackends(cluster, service, stepOf(changes)), addresses);
    await pause(STEP_MS);
  }
  const since = Date.now();
  writeSlices(cluster, addresses);
  await waitForChange(cluster.nodes, since);
  return changes;
}

function stepOf(change: number): readonly string[] {
  return STEPS[change % STEPS.length] ?? [];
}

function isPlanned({ services }: LabCluster, service: string, backends: readonly string[]): boolean {
  return services.find(({ name }) => name === service)?.backends.join() === backends.join();
}

function withBackends(cluster: LabCluster, service: string, backends: readonly string[]): LabCluster {
  const services = cluster.services.map((one) => (one.name === service ? { ...one, backends } : one));
  return { ...cluster, services };
}

function addressesOf(directory: Directory, cluster: string): Record<string, AddressPair> {
  const pods = allPods(directory.plan).filter((pod) => pod.cluster === cluster);
  return Object.fromEntries(
    pods.flatMap(({ id }) => {
      const addresses = directory.addresses.get(id);
      return addresses === undefined ? [] : [[id, addresses] as const];
    }),
  );
}
