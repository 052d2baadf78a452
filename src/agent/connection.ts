// A pod's connection with its node: a veth of ours, or one that another CNI plugin made.
import type { Device } from '../datapath/datapath.js';
import type { Endpoint } from '../model/endpoint.js';
import { checkChained, join, leave } from './chained.js';
import { checkWiring, renewWiring, unwire, type Wiring, wire } from './wiring.js';

/** Returns the index of the node's end. Throws with nothing left behind. `mayFilter`: as wire() has it. */
export function connect(wiring: Wiring, endpoint: Endpoint, mayFilter: boolean): number {
  return endpoint.chained === true ? join(wiring, endpoint) : wire(wiring, endpoint, mayFilter);
}

/** Undoes connect(), whole or half. Whether there was something. */
export function disconnect(wiring: Wiring, endpoint: Endpoint): boolean {
  return endpoint.chained === true ? leave(wiring, endpoint) : unwire(wiring, endpoint);
}

/** Throws WiringError with the first thing that is not as connect() left it. */
export function checkConnection(wiring: Wiring, endpoint: Endpoint): void {
  if (endpoint.chained === true) checkChained(wiring, endpoint);
  else checkWiring(wiring, endpoint);
}

/** What an earlier agent did in its own way. The devices of a chained pod are the other plugin's. Throws. */
export function renewConnection(wiring: Wiring, endpoint: Endpoint): void {
  if (endpoint.chained !== true) renewWiring(wiring, endpoint);
}

/** The node's end; undefined when it is gone. A name that is not ours may be another device's by now. */
export function deviceOf({ node }: Wiring, { hostInterface: name, ifindex, chained }: Endpoint): Device | undefined {
  const link = node.link(name);
  if (link === undefined || (chained === true && link.ifindex !== ifindex)) return undefined;
  return { name, ifindex: link.ifindex };
}

/** Puts the program on a pod that is there, or a newer one in place of what an earlier agent attached. */
export function attachProgram(wiring: Wiring, endpoint: Endpoint): void {
  const device = deviceOf(wiring, endpoint);
  if (device === undefined) return;
  if (endpoint.chained === true) wiring.datapath.attachChained(device.name, device.ifindex);
  else wiring.datapath.attachContainer(device.name, device.ifindex);
}
