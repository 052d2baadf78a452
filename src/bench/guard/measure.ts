// Loads the programs in both modes and looks at what they cost: the verifier's instructions, and runs in place.
import { cpus, release } from 'node:os';
import { compilerVersion } from '../../bpf/clang.js';
import { loadNative } from '../../bpf/native.js';
import { BpfObject } from '../../bpf/object.js';
import { compile } from '../../datapath/compile.js';
import { openMaps } from '../../datapath/maps.js';
import { Reconciler } from '../../datapath/reconcile.js';
import type { Config, Maps } from '../../datapath/types.gen.js';
import { checkSnapshot } from '../../model/check.js';
import type { Mode } from '../../model/network.js';
import { networkManifest, nodeManifests } from '../../testbed/manifests.js';
import { configOf, type Datapath, OBJECT } from '../loaded.js';
import { type CostCase, measureCase } from '../program-cost.js';
import { compilePrograms, loadPrograms } from '../programs.js';
import { readObjects } from '../read-objects.js';
import { serviceManifests } from '../service/manifests.js';
import { summarize } from '../statistics.js';
import { GUARDED_SERVICE, listCases } from './cases.js';
import type { GuardFigures } from './file.js';
import { CLUSTER_CIDRS, createWorld, NODES, type World } from './world.js';

/** The programs, ready to be looked at again and again. */
export interface Guarded extends Disposable {
  readonly facts: Omit<GuardFigures, 'ratios'>;
  /** Of all cases, or of those with these names: medians of `batches` paired ratios. */
  measure(batches: number, only?: readonly string[]): GuardFigures['ratios'];
}

interface Loaded {
  readonly datapath: Datapath;
  readonly cases: readonly CostCase[];
}

const MODES = ['Island', 'Flat'] as const;

/** In the namespace of this process, which must be empty. */
export async function openGuarded(): Promise<Guarded> {
  await compilePrograms();
  const world = await createWorld();
  const bench = await loadPrograms({});
  const empty = bench.program('empty');
  const loaded: Loaded[] = [];
  const instructions: Record<string, number> = {};
  for (const mode of MODES) {
    const datapath = await loadMode(world, mode);
    loaded.push({ datapath, cases: listCases(world, mode) });
    for (const { name, verifiedInstructions } of datapath.programs())
      if (verifiedInstructions > 0) instructions[`${mode.toLowerCase()} ${name}`] = verifiedInstructions;
  }
  return {
    facts: { ...(await describe()), instructions },
    measure(batches, only) {
      const wanted = loaded.flatMap(({ datapath, cases }) => cases.map((one) => ({ datapath, one })));
      const chosen = wanted.filter(({ one }) => only === undefined || only.includes(one.name));
      return Object.fromEntries(
        chosen.map(({ datapath, one }) => [one.name, ratioOf(measureCase(datapath, one, { empty, batches }))]),
      );
    },
    [Symbol.dispose]() {
      for (const { datapath } of loaded) datapath.close();
      empty.close();
      bench.close();
    },
  };
}

async function describe() {
  const compiler = (await compilerVersion()) ?? 'none';
  const processor = cpus()[0]?.model.trim() ?? '';
  return { apiVersion: 'isthmus.dev/v1', kind: 'BenchGuard', kernel: release(), compiler, processor } as const;
}

/** With everything in the maps that the agent would write. */
async function loadMode(world: World, mode: Mode): Promise<Datapath> {
  const modes = { ipv4: mode, ipv6: mode };
  const snapshot = checkSnapshot(
    readObjects([
      networkManifest({ name: 'guard', modes, podCIDRs: CLUSTER_CIDRS }),
      ...nodeManifests(NODES),
      ...serviceManifests(GUARDED_SERVICE),
    ]),
  );
  const nodeName = NODES[0]?.name ?? '';
  const node = snapshot.nodes.get(nodeName);
  if (!snapshot.network || !node)
    throw new Error(`the node of the guard is refused: ${JSON.stringify(snapshot.problems)}`);
  const datapath = BpfObject.open<Maps, Config>(loadNative(), OBJECT);
  datapath.configure({ ...configOf(snapshot.network, node, world), fast_checksum: 1 });
  await datapath.load();
  const maps = openMaps(datapath);
  const reconciler = new Reconciler(maps);
  const endpoints = Object.values(world.pods);
  const desired = compile({ snapshot, nodeName, endpoints, serviceIds: new Map(), have: reconciler.have });
  const { failures } = await reconciler.reconcile(desired);
  for (const map of Object.values(maps)) map.close();
  if (failures.length > 0) throw new Error(`${failures.length} entries could not be written`);
  return datapath;
}

/** Each batch beside the empty program's that ran just before it. */
function ratioOf({ name, net, empty }: ReturnType<typeof measureCase>): number {
  const ratios = net.map((above, batch) => 1 + above / (empty[batch] ?? Number.NaN));
  const spread = summarize(ratios.filter(Number.isFinite));
  if (!spread) throw new Error(`${name}: nothing was measured`);
  return spread.median;
}
