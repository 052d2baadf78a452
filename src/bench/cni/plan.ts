// The picture for the CNI plugin as data: a node of ours, one for the reference plugins, and pods that either may wire.
import { type BenchPlan, planNode, planPod, planWires, type Station, stationOf } from '../plan.js';
import { POD_COUNTS } from './goals.js';

const WIRES = [
  ['cni', 'cni-out'],
  ['bridge', 'bridge-out'],
] as const;

/** Pods come and go faster than blocks rest. */
const NAT = { reuseHold: 0 };

export function planCniBench(): BenchPlan {
  const wires = planWires(WIRES);
  return {
    wires,
    nodes: [planNode(stationOf({ wires }, 'cni'), { cluster: 'cni', mode: 'Island', number: 1, nat: NAT })],
    pods: Array.from({ length: POD_COUNTS.together }, (_, index) => planPod('cni', `p${index + 1}`)),
    kernelNodes: [],
    bare: [],
    bridges: [],
    timeWaits: 0,
  };
}

/** Where the reference plugins run. */
export function bridgeStation(plan: BenchPlan): Station {
  return stationOf(plan, 'bridge');
}
