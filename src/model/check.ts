// Rules that no object can be checked for alone: what contradicts another object is refused by name, the rest stays.
import { checkNetwork } from './check-network.js';
import { NodeCheck } from './check-node.js';
import { PoolCheck } from './check-pool.js';
import { ServiceCheck } from './check-service.js';
import { inNameOrder } from './order.js';
import type { Problem, Snapshot } from './snapshot.js';

/** Where an object was defined, by its name such as `Service shop/web`. */
export type WhereOf = (object: string) => string;

/**
 * Returns the snapshot without the objects that contradict others, and with a Problem for each of those.
 * Of two that contradict each other, the first in name order stays: every node decides the same.
 */
export function checkSnapshot(snapshot: Snapshot, whereOf: WhereOf = (object) => object): Snapshot {
  const problems: Problem[] = [...snapshot.problems];
  const report = (object: string, reason: string, inForce = 'nothing of it'): void => {
    problems.push({ where: whereOf(object), object, reason, inForce });
  };
  const fault = snapshot.network && checkNetwork(snapshot.network);
  if (fault !== undefined) report('ClusterNetwork default', `${fault.path.join('.')}: ${fault.reason}`);
  const network = fault === undefined ? snapshot.network : undefined;

  const nodeCheck = new NodeCheck(network);
  const nodes = unlessClean(snapshot.nodes, [network], problems, () =>
    acceptAll(snapshot.nodes, (name, node) => {
      const reason = nodeCheck.accept(node);
      if (reason !== undefined) report(`Node ${name}`, reason);
      else for (const gap of nodeCheck.gaps(node)) report(`Node ${name}`, gap, 'the rest of it');
      return reason === undefined;
    }),
  );

  const egressPools = unlessClean(snapshot.egressPools, [network, nodes], problems, () => {
    const poolCheck = new PoolCheck(nodeCheck.inside, [...nodes.values()]);
    return acceptAll(snapshot.egressPools, (name, pool) => {
      const reason = poolCheck.accept(pool);
      if (reason !== undefined) report(`EgressPool ${name}`, reason);
      return reason === undefined;
    });
  });

  const services = unlessClean(snapshot.services, [network, nodes], problems, () => {
    const serviceCheck = new ServiceCheck(network, nodeCheck.inside, [...nodes.values()]);
    return acceptAll(snapshot.services, (name, service) => {
      const reason = serviceCheck.accept(service);
      if (reason !== undefined) report(`Service ${name}`, reason);
      else for (const gap of serviceCheck.gaps(service)) report(`Service ${name}`, gap, 'the rest of it');
      return reason === undefined;
    });
  });
  return { ...snapshot, network, nodes, egressPools, services, problems };
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

function acceptAll<T>(objects: ReadonlyMap<string, T>, accept: (name: string, object: T) => boolean): Map<string, T> {
  return new Map(inNameOrder(objects).filter(([name, object]) => accept(name, object)));
}
