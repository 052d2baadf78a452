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
  const nodes = acceptAll(snapshot.nodes, (name, node) => {
    const reason = nodeCheck.accept(node);
    if (reason !== undefined) report(`Node ${name}`, reason);
    else for (const gap of nodeCheck.gaps(node)) report(`Node ${name}`, gap, 'the rest of it');
    return reason === undefined;
  });

  const poolCheck = new PoolCheck(nodeCheck.inside, [...nodes.values()]);
  const egressPools = acceptAll(snapshot.egressPools, (name, pool) => {
    const reason = poolCheck.accept(pool);
    if (reason !== undefined) report(`EgressPool ${name}`, reason);
    return reason === undefined;
  });

  const serviceCheck = new ServiceCheck(network, nodeCheck.inside, [...nodes.values()]);
  const services = acceptAll(snapshot.services, (name, service) => {
    const reason = serviceCheck.accept(service);
    if (reason !== undefined) report(`Service ${name}`, reason);
    return reason === undefined;
  });
  return { ...snapshot, network, nodes, egressPools, services, problems };
}

function acceptAll<T>(objects: ReadonlyMap<string, T>, accept: (name: string, object: T) => boolean): Map<string, T> {
  return new Map(inNameOrder(objects).filter(([name, object]) => accept(name, object)));
}
