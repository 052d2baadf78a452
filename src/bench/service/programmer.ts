// Inside a namespace: API objects of Services to kernel maps, by the agent's own code, step by step.
import { compile, type Desired } from '../../datapath/compile.js';
import { Reconciler } from '../../datapath/reconcile.js';
import { checkSnapshot } from '../../model/check.js';
import type { Snapshot } from '../../model/snapshot.js';
import { VersionedMap } from '../../model/versioned-map.js';
import { convert } from '../../source/convert.js';
import { type Manifest, networkManifest, nodeManifests } from '../../testbed/manifests.js';
import type { BenchNode } from '../plan.js';
import { readObjects } from '../read-objects.js';
import { serviceManifests, sliceManifest } from './manifests.js';
import { fillBackend, listServices, type ServedService } from './services.js';
import { mapBytes, openTimedMaps, type TimedMaps } from './timed-maps.js';

export type ProgrammerQuestion =
  /** Everything out, and then so many Services from nothing. */
  | { readonly fill: { readonly node: BenchNode; readonly services: number; readonly backends: number } }
  /** One backend of the Service in the middle becomes another, so many times. */
  | { readonly changes: number };

export interface FillAnswer {
  /** Milliseconds: checking and converting API objects, compiling, and writing, the kernel's part of it included. */
  readonly converted: number;
  readonly compiled: number;
  readonly written: number;
  /** Milliseconds in the kernel. */
  readonly kernel: number;
  readonly entries: number;
  /** Kernel memory that came with it, and this process's, bytes. */
  readonly mapBytes: number;
  readonly rssBytes: number;
}

export interface ChangeAnswer {
  /** Milliseconds from the API object to the end of the last write; and of those microseconds in the kernel. */
  readonly total: number;
  readonly kernel: number;
}

interface Filled {
  readonly nodeName: string;
  readonly reconciler: Reconciler;
  readonly services: readonly ServedService[];
  /** As the source holds it, before it is checked. */
  unchecked: Snapshot;
  desired: Desired;
}

const FIRST_NEW_BACKEND = 900_000;

let opened: TimedMaps | undefined;
let filled: Filled | undefined;
let changes = 0;

export async function serve(question: ProgrammerQuestion): Promise<FillAnswer | ChangeAnswer[]> {
  opened ??= await openTimedMaps();
  if ('fill' in question) return fill(opened, question.fill);
  if (filled === undefined) throw new Error('nothing was filled in');
  const answers: ChangeAnswer[] = [];
  for (let count = 0; count < question.changes; count++) answers.push(await change(opened, filled));
  return answers;
}

async function fill(
  timed: TimedMaps,
  { node, services, backends }: Extract<ProgrammerQuestion, { fill: unknown }>['fill'],
): Promise<FillAnswer> {
  const list = listServices({ count: services, backends });
  const objects = list.flatMap(serviceManifests);
  const base = baseManifests(node);
  const reconciler = filled?.reconciler ?? new Reconciler(timed.maps);
  const empty = compileFor(node.name, checkSnapshot(readObjects(base)), reconciler);
  await reconciler.reconcile(empty);
  const bytes = mapBytes();
  timed.takeNanoseconds();
  const started = performance.now();
  const unchecked = readObjects([...base, ...objects]);
  const snapshot = checkSnapshot(unchecked);
  const converted = performance.now();
  const desired = compileFor(node.name, snapshot, reconciler);
  const compiled = performance.now();
  const report = await reconciler.reconcile(desired);
  const written = performance.now();
  if (report.failures.length > 0) throw new Error(`${report.failures.length} entries could not be written`);
  filled = { nodeName: node.name, reconciler, services: list, unchecked, desired };
  return {
    converted: converted - started,
    compiled: compiled - converted,
    written: written - compiled,
    kernel: timed.takeNanoseconds() / 1e6,
    entries: report.written,
    mapBytes: mapBytes() - bytes,
    rssBytes: process.memoryUsage.rss(),
  };
}

function baseManifests(node: BenchNode): Manifest[] {
  const modes = { ipv4: node.mode, ipv6: node.mode };
  return [networkManifest({ name: node.cluster, modes, podCIDRs: node.clusterCIDRs }), ...nodeManifests([node])];
}

function compileFor(nodeName: string, snapshot: Snapshot, reconciler: Reconciler, previous?: Desired): Desired {
  const { have } = reconciler;
  return compile({ snapshot, nodeName, endpoints: [], serviceIds: new Map(), have, previous });
}

/** From what a watch delivers for an EndpointSlice that changed. */
async function change(timed: TimedMaps, now: Filled): Promise<ChangeAnswer> {
  const { reconciler, services, nodeName, unchecked, desired } = now;
  const service = services[Math.floor(services.length / 2)] as ServedService;
  const backends = [fillBackend(FIRST_NEW_BACKEND + changes++), ...service.backends.slice(1)];
  const event = sliceManifest({ ...service, backends });
  timed.takeNanoseconds();
  const started = performance.now();
  const converted = convert(event);
  if (converted?.kind !== 'EndpointSlice') throw new Error('not an EndpointSlice');
  const slices = VersionedMap.of(unchecked.slices).with([[converted.key, converted.object]]);
  now.unchecked = { ...unchecked, slices };
  const want = compileFor(nodeName, checkSnapshot(now.unchecked), reconciler, desired);
  const report = await reconciler.reconcile(want);
  const total = performance.now() - started;
  if (report.written !== backends.length + 1) throw new Error(`${report.written} entries were written for one change`);
  now.desired = want;
  return { total, kernel: timed.takeNanoseconds() / 1e3 };
}
