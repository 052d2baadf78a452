// The packets whose paths are guarded, by configuration: each way out and in, within a node and through a Service.
import type { Family } from '../../model/address.js';
import type { Mode } from '../../model/network.js';
import type { Arrival, CostCase } from '../program-cost.js';
import { ownService, SERVICE_PORT } from '../service/services.js';
import { FAR, POD_ADDRESSES, type Pod, REMOTE, type World } from './world.js';

interface End {
  readonly address: string;
  readonly port: number;
}

const POD_PORT = 40_000;
const SERVER_PORT = 8080;
/** Of its own address, backed by the second pod. */
export const GUARDED_SERVICE = ownService(0, {
  name: 'guarded',
  backends: [{ address: POD_ADDRESSES.b.ipv4, port: SERVER_PORT }],
});

/** Both families where the mode makes a difference; what is the same in both modes once. */
export function listCases(world: World, mode: Mode): CostCase[] {
  const outward = (['ipv4', 'ipv6'] as const).flatMap((family) => outside(world, mode, family));
  return mode === 'Flat' ? outward : [...outward, ...inside(world), ...throughService(world)];
}

function outside(world: World, mode: Mode, family: Family): CostCase[] {
  const pod = { address: POD_ADDRESSES.a[family], port: POD_PORT };
  const remote = { address: REMOTE[family], port: SERVER_PORT };
  const leaving = fromPod(world, 'a', [pod, remote]);
  const opening = mode === 'Island' ? { opening: leaving } : {};
  const named = (way: string): string => `${mode.toLowerCase()} ${family}, ${way}`;
  return [
    { name: named('to outside'), program: 'from_container', arrival: leaving, ...opening },
    { name: named('from outside'), program: 'from_netdev', arrival: fromWire(world, [remote, pod]), ...opening },
  ];
}

function inside(world: World): CostCase[] {
  const a = { address: POD_ADDRESSES.a.ipv4, port: POD_PORT };
  const b = { address: POD_ADDRESSES.b.ipv4, port: SERVER_PORT };
  const far = { address: FAR.ipv4, port: SERVER_PORT };
  return [
    { name: 'same node', program: 'from_container', arrival: fromPod(world, 'a', [a, b]) },
    { name: 'to the other node', program: 'from_container', arrival: fromPod(world, 'a', [a, far]) },
    { name: 'from the other node', program: 'from_netdev', arrival: fromWire(world, [far, a]) },
  ];
}

function throughService(world: World): CostCase[] {
  const client = { address: POD_ADDRESSES.a.ipv4, port: POD_PORT };
  const backend = { address: POD_ADDRESSES.b.ipv4, port: SERVER_PORT };
  const opening = fromPod(world, 'a', [client, { address: GUARDED_SERVICE.clusterIP, port: SERVICE_PORT }]);
  const answer = fromPod(world, 'b', [backend, client]);
  const program = 'from_container';
  return [
    { name: 'through a Service', program, arrival: opening, opening },
    { name: 'through a Service, answer', program, arrival: answer, opening, isAnswer: true },
  ];
}

function fromPod({ pods, gatewayMac }: World, pod: Pod, [source, destination]: readonly [End, End]): Arrival {
  const { ifindex, mac } = pods[pod];
  return { ifindex, packet: { sourceMac: mac, destinationMac: gatewayMac, source, destination } };
}

function fromWire({ uplink, routerMac }: World, [source, destination]: readonly [End, End]): Arrival {
  const packet = { sourceMac: routerMac, destinationMac: uplink.mac, source, destination };
  return { ifindex: uplink.ifindex, packet };
}
