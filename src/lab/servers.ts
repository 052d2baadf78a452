// The servers that the checks talk to: one in every pod, on every node and on every outside host.
import { mkdirSync } from 'node:fs';
import { capture, start, until } from '../testbed/command.js';
import { PROBE } from '../testbed/files.js';
import { cgroupOf } from '../testbed/node-home.js';
import type { LabPlan } from './plan.js';
import { allNodes, LAB_DIR, SERVER_PORT } from './plan.js';
import { LabError } from './record.js';

/** A namespace and the cgroup of the node that it is on; outside hosts have none. */
export interface Place {
  readonly name: string;
  readonly netns: string;
  readonly cgroup?: string;
}

/** Every place of the lab where a program can run, by the name that commands use. */
export function placesOf(plan: LabPlan): Map<string, Place> {
  const places = new Map<string, Place>();
  const add = (place: Place): Map<string, Place> => places.set(place.name, place);
  for (const node of allNodes(plan)) add({ name: node.name, netns: node.netns, cgroup: cgroupOf(node) });
  for (const host of plan.hosts) add({ name: host.name, netns: host.netns });
  for (const pod of plan.clusters.flatMap((cluster) => cluster.pods)) {
    const node = places.get(pod.node);
    add({ name: pod.id, netns: pod.netns, cgroup: `${node?.cgroup}/pod-${pod.name}` });
  }
  add({ name: 'router', netns: plan.router.netns });
  return places;
}

/** Starts a server in each place but the router and waits until all listen. */
export async function startServers(plan: LabPlan): Promise<void> {
  const places = [...placesOf(plan).values()].filter((place) => place.netns !== plan.router.netns);
  for (const place of places) {
    if (place.cgroup) mkdirSync(place.cgroup, { recursive: true });
    start([PROBE, 'serve', '--port', String(SERVER_PORT)], { ...place, log: `${LAB_DIR}/servers.log` });
  }
  for (const place of places) {
    const up = await until(() => listens(place), 5000);
    if (!up) throw new LabError(`the server of ${place.name} does not listen; see ${LAB_DIR}/servers.log`);
  }
}

/** Asks over loopback, which is never translated. */
async function listens(place: Place): Promise<boolean> {
  const argv = [PROBE, 'tcp', '127.0.0.1', String(SERVER_PORT), 'who', '--timeout', '500'];
  return (await capture(argv, { netns: place.netns })).status === 0;
}
