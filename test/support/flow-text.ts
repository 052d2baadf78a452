// The lines that TestDatapath.flows() prints for a flow, from what a test knows of it.
import type { Addresses } from './world.js';
import { MAC } from './world.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface FlowPair {
  readonly protocol: string;
  /** What the first packet has, and what it leaves with. */
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly newSource?: Endpoint;
  readonly newDestination?: Endpoint;
  /** Where the first packet comes from and goes to. */
  readonly from: 'a' | 'b' | 'uplink';
  readonly to: 'a' | 'b' | 'uplink';
  /** Next hops by the uplink. */
  readonly hop?: string;
  readonly backHop?: string;
  /** Of the connection, e.g. `seen_reply`. */
  readonly state?: string;
}

/** Both entries, sorted. */
export function flowPair(flow: FlowPair): string[] {
  const { protocol, source, destination, from, to, hop = '', backHop = hop, state = '' } = flow;
  const newSource = flow.newSource ?? source;
  const newDestination = flow.newDestination ?? destination;
  const [sources, destinations] = [newSource !== source, newDestination !== destination];
  const there = flags([
    sources && 'rewrite_source',
    destinations && 'rewrite_destination',
    to !== 'uplink' && 'to_container',
    state,
  ]);
  const here = flags([
    'reply',
    destinations && 'rewrite_source',
    sources && 'rewrite_destination',
    from !== 'uplink' && 'to_container',
    state,
  ]);
  return [
    `${protocol} ${arrow(source, destination)} => ${arrow(newSource, newDestination)} ${way(from, to, hop)} mtu 1500 ${there}`,
    `${protocol} ${arrow(newDestination, newSource)} => ${arrow(destination, source)} ${way(to, from, backHop)} mtu 1500 ${here}`,
  ].sort();
}

/** A pod's flow to outside, translated to a port of its block. */
export function egressPair(w: Addresses, fields: EgressFields): string[] {
  const { pod = 'a', protocol, port, remote = { address: w.remote, port: 443 }, translated, state = '' } = fields;
  return flowPair({
    protocol,
    source: { address: w[pod], port },
    destination: remote,
    newSource: { address: w.node, port: translated },
    from: pod,
    to: 'uplink',
    hop: w.router,
    state,
  });
}

export interface EgressFields {
  readonly pod?: 'a' | 'b';
  readonly protocol: string;
  readonly port: number;
  readonly remote?: Endpoint;
  readonly translated: number;
  readonly state?: string;
}

function flags(names: readonly (string | false)[]): string {
  return names.filter((name) => name).join(' ');
}

function arrow(source: Endpoint, destination: Endpoint): string {
  return `${text(source)} > ${text(destination)}`;
}

function text({ address, port }: Endpoint): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function way(from: string, to: string, hop: string): string {
  return `${from} -> ${to} ${to === 'uplink' ? hop : MAC[to as 'a' | 'b']}`;
}
