// Rules that no object can be checked for alone: what contradicts another object is refused by name, the rest stays.
import { checkNetwork } from './check-network.js';
import { clusterPods, NodeCheck } from './check-node.js';
import { PodPoolCheck } from './check-pod-pool.js';
import { PoolCheck } from './check-pool.js';
import { ServiceCheck } from './check-service.js';
import type { Fault } from './fault.js';
import { compareText, inNameOrder } from './order.js';
import { listShortages, withBlocks } from './pod-pool.js';
import type { Problem, Snapshot } from './snapshot.js';

/** Where an object was defined, by its name such as `Service shop/web`. */
export type WhereOf = (object: string) => string;

/**
 * Returns the snapshot without the objects that contradict others, and with a Problem for each of those. Of two that
 * contradict each other, the older one stays, of the same age the first in name order: every node decides the same, and
 * nobody takes away what another one has by a name that comes first.
 */
export function checkSnapshot(snapshot: Snapshot, whereOf: WhereOf = (object) => object): Snapshot {
  const problems: Problem[] = [...snapshot.problems];
  const report = (object: string, fault: Fault, inForce = 'nothing of it'): void => {
    problems.push({ where: whereOf(object), object, reason: fault.reason, code: fault.code, inForce });
  };
  const acceptAll = <T extends Dated>(kind: string, objects: ReadonlyMap<string, T>, open: () => Check<T>) => {
    const verdict = judgeAll(objects, open);
    for (const [name, fault] of verdict.refused) report(`${kind} ${name}`, fault);
    for (const [name, gap] of verdict.gaps) report(`${kind} ${name}`, gap, 'the rest of it');
    return verdict.accepted;
  };
  const fault = snapshot.network && checkNetwork(snapshot.network);
  if (fault !== undefined) {
    report('ClusterNetwork default', { ...fault, reason: `${fault.path.join('.')}: ${fault.reason}` });
  }
  const network = fault === undefined ? snapshot.network : undefined;

  const podPools = unlessClean(snapshot.podPools, [network], problems, () =>
    acceptAll('PodPool', snapshot.podPools, () => new PodPoolCheck(network)),
  );
  const nodes = unlessClean(snapshot.nodes, [network, podPools], problems, () => {
    const accepted = acceptAll('Node', withBlocks(snapshot.nodes, podPools), () => new NodeCheck(network));
    const refused = refusedNodes(snapshot.nodes, accepted);
    for (const [name, fault] of listShortages({ nodes: accepted, pools: podPools, refused }))
      report(`PodPool ${name}`, fault, 'the rest of it');
    return accepted;
  });
  const egressPools = unlessClean(snapshot.egressPools, [network, nodes], problems, () =>
    acceptAll('EgressPool', snapshot.egressPools, () => new PoolCheck(clusterPods(network), [...nodes.values()])),
  );
  const services = unlessClean(snapshot.services, [network, nodes], problems, () =>
    acceptAll('Service', snapshot.services, () => new ServiceCheck(network, clusterPods(network), [...nodes.values()])),
  );
  return { ...snapshot, network, podPools, nodes, egressPools, services, problems };
}

/** Names of nodes that are there, but not in force. */
function refusedNodes(all: Snapshot['nodes'], accepted: Snapshot['nodes']): ReadonlySet<string> {
  return new Set(all.size === accepted.size ? [] : [...all.keys()].filter((name) => !accepted.has(name)));
}

/** Accepts objects one after the other, each beside those before it. */
interface Check<T> {
  accept(object: T): Fault | undefined;
  /** What an accepted object asks for and does not get. */
  gaps?(object: T): readonly Fault[];
}

interface Dated {
  readonly created?: string;
}

type Named<T> = readonly (readonly [name: string, value: T])[];

interface Verdict<T> {
  /** In name order. */
  readonly accepted: ReadonlyMap<string, T>;
  readonly refused: Named<Fault>;
  readonly gaps: Named<Fault>;
}

/** Where nothing is refused, no order would have refused anything. */
function judgeAll<T extends Dated>(objects: ReadonlyMap<string, T>, open: () => Check<T>): Verdict<T> {
  const named = inNameOrder(objects);
  const verdict = judge(named, open());
  if (verdict.refused.length === 0) return verdict;
  const byAge = judge(
    named.toSorted(([, a], [, b]) => compareText(a.created ?? '', b.created ?? '')),
    open(),
  );
  const inForce = new Map(named.filter(([name]) => byAge.accepted.has(name)));
  return { ...byAge, accepted: inForce, refused: byAge.refused.toSorted(([a], [b]) => compareText(a, b)) };
}

function judge<T>(named: Named<T>, check: Check<T>): Verdict<T> {
  const accepted = new Map<string, T>();
  const refused: [string, Fault][] = [];
  for (const [name, object] of named) {
    const fault = check.accept(object);
    if (fault === undefined) accepted.set(name, object);
    else refused.push([name, fault]);
  }
  const gaps = [...accepted].flatMap(([name, object]) =>
    (check.gaps?.(object) ?? []).map((gap) => [name, gap] as const),
  );
  return { accepted, refused, gaps };
}

/** What was found good, by the map that it came from, and what it was checked against. */
const clean = new WeakMap<object, { readonly against: readonly unknown[]; readonly accepted: unknown }>();

/**
 * Most changes are of other kinds: what was good as a whole, and is the same map as then, is not checked again. Also
 * the outcome is the same map then, so that whoever compares sees at once that nothing changed.
 */
function unlessClean<T>(
  objects: ReadonlyMap<string, T>,
  against: readonly unknown[],
  problems: readonly Problem[],
  check: () => ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  const known = clean.get(objects);
  if (known?.against.every((value, index) => value === against[index])) return known.accepted as ReadonlyMap<string, T>;
  const before = problems.length;
  const accepted = check();
  if (problems.length === before) clean.set(objects, { against, accepted });
  return accepted;
}
