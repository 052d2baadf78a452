// The Services that are measured, as plain facts: the same ones become manifests for us and rules for netfilter.
import { addressAt } from '../../model/address.js';

export interface ServedBackend {
  readonly address: string;
  readonly port: number;
}

/** A Service with one port. */
export interface ServedService {
  readonly namespace: string;
  readonly name: string;
  readonly clusterIP: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
  readonly nodePort?: number;
  readonly backends: readonly ServedBackend[];
}

export interface ServicesOptions {
  readonly count: number;
  /** Backends of each. */
  readonly backends: number;
  /** Takes a place in the middle: half of a list of rules lies before it. */
  readonly inTheMiddle?: readonly ServedService[];
}

export const SERVICE_NAMESPACE = 'bench';
export const SERVICE_PORT = 80;
export const PORT_NAME = 'http';
export const CLUSTER_IPS = '10.96.0.0/12';
/** Nobody has these: connections to what only makes the table long would fail. */
const BACKEND_ADDRESSES = '172.16.0.0/12';
const BACKEND_PORT = 8080;
/** Behind those of the list, whatever its length. */
const FIRST_OWN = 1_000_000;

/** Of so many Services the first ones are left out for those in the middle. */
export function listServices({ count, backends, inTheMiddle = [] }: ServicesOptions): ServedService[] {
  const others = Math.max(0, count - inTheMiddle.length);
  const list = Array.from({ length: others }, (_, index) => fillService(index, backends));
  const half = Math.floor(others / 2);
  return [...list.slice(0, half), ...inTheMiddle, ...list.slice(half)];
}

/** One that clients talk to; numbers give addresses of their own. */
export function ownService(
  number: number,
  facts: Pick<ServedService, 'name' | 'backends' | 'nodePort'> & Partial<Pick<ServedService, 'protocol'>>,
): ServedService {
  return {
    namespace: SERVICE_NAMESPACE,
    clusterIP: at(CLUSTER_IPS, FIRST_OWN + number),
    protocol: 'TCP',
    port: SERVICE_PORT,
    ...facts,
  };
}

function fillService(index: number, backends: number): ServedService {
  return {
    namespace: SERVICE_NAMESPACE,
    name: `service-${index}`,
    clusterIP: at(CLUSTER_IPS, index + 1),
    protocol: 'TCP',
    port: SERVICE_PORT,
    backends: Array.from({ length: backends }, (_, backend) => fillBackend(index * backends + backend)),
  };
}

/** A backend that nobody has. */
export function fillBackend(number: number): ServedBackend {
  return { address: at(BACKEND_ADDRESSES, number + 1), port: BACKEND_PORT };
}

function at(cidr: string, offset: number): string {
  const address = addressAt(cidr, BigInt(offset));
  if (address === undefined) throw new RangeError(`${cidr} has no address ${offset}`);
  return address;
}
