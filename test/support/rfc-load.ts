// Many sockets of a pod at once, and what remotes see of them.
import { until } from '../../src/testbed/command.js';
import type { Family, RfcWorld } from './rfc-world.js';
import type { At, Udp } from './sockets.js';

/** Frames that are put on a wire at once: its buffers hold them. */
const BATCH = 64;
const WAIT_MS = 5000;

export interface ManyOptions {
  readonly pod: string;
  readonly family: Family;
  /** Of the pod's side. */
  readonly ports: readonly number[];
  /** How many of them are expected to leave; all when absent. */
  readonly leaving?: number;
}

/** A datagram of each port to the crafted remote. Returns their places outside, in the order they left. */
export async function sendMany(
  world: RfcWorld,
  { pod, family, ports, leaving = ports.length }: ManyOptions,
): Promise<At[]> {
  const frames = await world.frames(pod);
  const destination = world.crafted(family);
  const frame = world.fromPod(pod).ip({ source: world.pod(pod, family), destination });
  const places = async (): Promise<At[]> => {
    const heard = await world.wire.during(({ network }) => network.destination === destination, 0);
    return heard.map(({ network, transport }) => ({ address: network.source, port: transport?.source ?? 0 }));
  };
  world.wire.clear();
  for (let index = 0; index < ports.length; index += BATCH) {
    const some = ports.slice(index, index + BATCH);
    frames.send(...some.map((source) => frame.udp({ source, destination: 9999 }).payload(`${source}`)));
  }
  await until(async () => (await places()).length >= leaving, WAIT_MS);
  return places();
}

export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

/** How many different ones. */
export function countPlaces(places: readonly At[]): number {
  return new Set(places.map(({ address, port }) => `${address} ${port}`)).size;
}

/** A socket of a pod or a host. */
export async function udpOf(world: RfcWorld, name: string, family: Family, port?: number): Promise<Udp> {
  return (await world.sockets(name)).udp(family, port);
}

export interface Unasked {
  readonly from: 's1' | 's2' | 'third';
  readonly to: At;
  /** Whose place that is. */
  readonly socket: Udp;
}

/** Whether a datagram of a new socket of a host arrives. */
export async function arrives(world: RfcWorld, { from, to, socket }: Unasked): Promise<boolean> {
  const sender = await udpOf(world, from, to.address.includes(':') ? 6 : 4);
  await sender.send('unasked', to);
  const heard = await socket.during();
  await sender.close();
  return heard.some(({ text }) => text === 'unasked');
}
