// The whole cluster: up and down, and what tests ask of it.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { copyFileSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { capture, until } from '../../src/testbed/command.js';
import { TestbedError } from '../../src/testbed/error.js';
import { PROBE, ROOT, requireBuild } from '../../src/testbed/files.js';
import { deleteNamespaces, existingNamespaces } from '../../src/testbed/namespaces.js';
import { evict } from '../../src/testbed/residents.js';
import { Certificates } from './certificates.js';
import type { ControlPlane } from './control-plane.js';
import { startControlPlane } from './control-plane.js';
import { buildFabric, wireMachine } from './fabric.js';
import { makeImages } from './images.js';
import { removeCgroups, startMachine } from './machine.js';
import { importImages, startContainerd, startKubelet } from './node.js';
import type { ClusterNode, ClusterPlan, Machine } from './plan.js';
import { allMachines, allNamespaces, planCluster, probeOf } from './plan.js';
import { makeScratch } from './scratch.js';

/** Milliseconds. */
const OFF_MS = 10_000;
const REAPER = `${ROOT}/build/test/cluster/reaper-main.js`;

/** A running cluster; it ends with the process that holds it. */
export interface Cluster {
  readonly plan: ClusterPlan;
  readonly plane: ControlPlane;
  /** Ends a node as a power failure does: its processes, mounts and devices are gone, its disk stays. Throws TestbedError. */
  powerOff(node: ClusterNode): Promise<void>;
  /** Boots it again, up to its kubelet. */
  powerOn(node: ClusterNode): Promise<void>;
  /** Removes everything; throws TestbedError with what stayed. */
  down(): Promise<void>;
}

/** Called with what is done and how long it took, in milliseconds since the beginning. */
export type Progress = (what: string, milliseconds: number) => void;

/** Builds the cluster: three nodes registered, without a network plugin. What fails half-way is removed. */
export async function clusterUp(programs: string, progress: Progress): Promise<Cluster> {
  requireBuild('the cluster');
  const plan = planCluster(makeScratch());
  const present = existingNamespaces(allNamespaces(plan));
  if (present.length > 0) {
    rmSync(plan.directory, { recursive: true });
    throw new TestbedError(`a cluster is up already: ${present.join(', ')} exist. Nothing was changed`);
  }
  const reaper = startReaper(plan);
  const machines: Machines = new Map();
  const down = async (): Promise<void> => {
    for (const machine of machines.values()) machine.stdin?.end();
    const left = await removeCluster(plan);
    if (left.length > 0) throw new TestbedError(`could not remove all of the cluster: ${left.join(', ')} stayed`);
    reaper.stdin?.end('done');
  };
  try {
    copyFileSync(PROBE, probeOf(plan));
    const certificates = new Certificates(`${plan.directory}/keys`);
    const plane = { machine: plan.controlPlane, certificates, programs };
    const building = { plan, plane, machines, progress };
    await build(building);
    return {
      plan,
      plane,
      powerOff: (node) => powerOff(building, node),
      powerOn: (node) => powerOn(building, node),
      down,
    };
  } catch (error) {
    await down();
    throw error;
  }
}

/** The first process of each, by the machine's name. */
type Machines = Map<string, ChildProcess>;

interface Building {
  readonly plan: ClusterPlan;
  readonly plane: ControlPlane;
  readonly machines: Machines;
  readonly progress: Progress;
}

async function build({ plan, plane, machines, progress }: Building): Promise<void> {
  const started = performance.now();
  const said = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const result = await work;
    progress(what, performance.now() - started);
    return result;
  };
  const imageFolder = `${plan.directory}/images`;
  const images = said('images', makeImages(imageFolder, plane.programs));
  // Awaited below; until then its failure is nobody's surprise.
  images.catch(() => {});
  await said('network', buildFabric(plan));
  const boot = async (machine: Machine): Promise<unknown> =>
    machines.set(machine.name, await startMachine(machine, sharedFolders({ plan, plane })));
  await said('machines', Promise.all(allMachines(plan).map(boot)));
  await Promise.all([
    said('control plane', startControlPlane(plane)),
    said('container runtimes', Promise.all(plan.nodes.map(startContainerd))),
  ]);
  const archives = await images;
  await said('images imported', Promise.all(plan.nodes.map((node) => importImages(node, archives))));
  await rm(imageFolder, { recursive: true });
  await said('kubelets', Promise.all(plan.nodes.map((node) => startKubelet(node, plane))));
}

/** What every machine sees at the same place. */
function sharedFolders({ plan, plane }: Pick<Building, 'plan' | 'plane'>): string[] {
  return [plan.directory, plane.programs];
}

async function powerOff({ plan, machines }: Building, node: ClusterNode): Promise<void> {
  machines.get(node.name)?.stdin?.end();
  const stayed = await evict([node.netns]);
  const left = [
    ...stayed.map(({ pid, command }) => `process ${pid} (${command})`),
    ...(await deleteNamespaces([node.netns])),
    ...(await removeCgroups(node)),
  ];
  // The kernel takes a namespace's devices apart some time after its last process.
  const wire = ['ip', '-n', plan.router.netns, 'link', 'show', node.name];
  if (!(await until(async () => (await capture(wire)).status !== 0, OFF_MS))) left.push(`wire ${node.name}`);
  if (left.length > 0) throw new TestbedError(`${node.name} is not off: ${left.join(', ')} stayed`);
}

async function powerOn(building: Building, node: ClusterNode): Promise<void> {
  const { plan, plane, machines } = building;
  await wireMachine(plan, node);
  machines.set(node.name, await startMachine(node, sharedFolders(building)));
  await startContainerd(node);
  await startKubelet(node, plane);
}

/** Removes a cluster, whole or half-built; returns what stayed. Nothing to remove is not an error. */
export async function removeCluster(plan: ClusterPlan): Promise<string[]> {
  const names = existingNamespaces(allNamespaces(plan));
  const stayed = await evict(names);
  const undeleted = await deleteNamespaces(existingNamespaces(names));
  const cgroups = (await Promise.all(allMachines(plan).map(removeCgroups))).flat();
  const left = [...stayed.map(({ pid, command }) => `process ${pid} (${command})`), ...undeleted, ...cgroups];
  if (left.length === 0) await rm(plan.directory, { recursive: true, force: true });
  return left;
}

/** A process that removes the cluster when we die, however we die: its standard input ends then. */
function startReaper({ directory }: ClusterPlan): ChildProcess {
  const child = spawn(process.execPath, [REAPER, directory], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.unref();
  return child;
}
