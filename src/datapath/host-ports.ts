// Ports of the node that lead to a port of one pod: each is a service of its own, with that pod as its only backend.
import { FAMILIES, type Family, familyOf, type IpAddress } from '../model/address.js';
import type { Endpoint, HostPort } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import { type EndpointSlice, portKey, type Service } from '../model/service.js';
import type { Problem } from '../model/snapshot.js';
import { canonical } from './table.js';

/** A service with its slices, as if the source had delivered both. */
export interface HostPortService {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
}

/** By name, as Services are; no Service can have such a name. */
export type HostPortServices = ReadonlyMap<string, HostPortService>;

/** What the node's own processes reach beside its addresses; of a pod, 127.0.0.1 is its own. */
export const LOOPBACK = '127.0.0.1';

export interface HostPortsInput {
  readonly endpoints: readonly Endpoint[];
  readonly services: Iterable<Service>;
  readonly node: Node;
  /** What is still the same is taken from there. */
  readonly previous: HostPortServices | undefined;
}

/** A Service that claims the same port came later, for ADD would have refused: it has the port, and the pod a problem. */
export function compileHostPorts(input: HostPortsInput): { hostPorts: HostPortServices; problems: Problem[] } {
  const wanted = input.endpoints.filter(({ hostPorts = [] }) => hostPorts.length > 0);
  if (wanted.length === 0) return { hostPorts: NONE, problems: [] };
  const claims = new ServiceClaims(input.services, input.node);
  const problems: Problem[] = [];
  const hostPorts = new Map<string, HostPortService>();
  for (const endpoint of wanted) {
    for (const port of endpoint.hostPorts ?? []) {
      const owner = claims.ownerOf(port);
      const made = createService(endpoint, port, input.node);
      const name = `${made.service.namespace}/${made.service.name}`;
      if (owner === undefined) hostPorts.set(name, reuse(input.previous?.get(name), made));
      else problems.push(takenProblem(endpoint, port, owner));
    }
  }
  return { hostPorts, problems };
}

const NONE: HostPortServices = new Map();

function reuse(former: HostPortService | undefined, made: HostPortService): HostPortService {
  return former !== undefined && canonical(former) === canonical(made) ? former : made;
}

/** On which addresses a host port is served: all of the node's when none is named. */
export function hostAddresses({ hostIP }: HostPort, { addresses }: Node): IpAddress[] {
  const own = [...addresses, LOOPBACK];
  if (hostIP === '') return own;
  if (hostIP === '0.0.0.0') return own.filter((address) => familyOf(address) === 'ipv4');
  return hostIP === '::' ? own.filter((address) => familyOf(address) === 'ipv6') : [hostIP];
}

/** `192.0.2.11:8080/TCP`, for people. */
export function formatHostPort({ hostIP, hostPort, protocol }: HostPort): string {
  const address = hostIP.includes(':') ? `[${hostIP}]` : hostIP;
  return `${address === '' ? '*' : address}:${hostPort}/${protocol}`;
}

/** Which Service has a port of the node, by whatever kind of frontend. */
export class ServiceClaims {
  readonly #node: Node;
  readonly #owners = new Map<string, string>();

  constructor(services: Iterable<Service>, node: Node) {
    this.#node = node;
    const own = new Set(node.addresses);
    for (const service of services) {
      const onNode = [...service.externalIPs, ...service.loadBalancerIPs].filter((address) => own.has(address));
      this.#add(service, onNode);
    }
  }

  #add({ namespace, name, ports }: Service, onNode: readonly IpAddress[]): void {
    for (const { port, protocol, nodePort } of ports) {
      if (nodePort !== undefined) this.#owners.set(`${nodePort}/${protocol}`, `${namespace}/${name}`);
      for (const address of onNode) this.#owners.set(`${address} ${port}/${protocol}`, `${namespace}/${name}`);
    }
  }

  /** Its name, or undefined. */
  ownerOf(port: HostPort): string | undefined {
    const text = `${port.hostPort}/${port.protocol}`;
    const owners = hostAddresses(port, this.#node).map((address) => this.#owners.get(`${address} ${text}`));
    return this.#owners.get(text) ?? owners.find((owner) => owner !== undefined);
  }
}

function createService(endpoint: Endpoint, port: HostPort, node: Node): HostPortService {
  const { namespace, pod, hostInterface, addresses } = endpoint;
  const { protocol, hostPort, containerPort } = port;
  const name = `${pod}@${hostInterface}:${formatHostPort(port)}`;
  const families = FAMILIES.filter((family) => addresses.some((address) => familyOf(address) === family));
  const service: Service = {
    namespace,
    name,
    clusterIPs: [],
    externalIPs: hostAddresses(port, node).filter((address) => families.includes(familyOf(address))),
    loadBalancerIPs: [],
    ports: [{ name: '', protocol, port: hostPort }],
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
    affinityTimeout: 0,
    sourceRanges: [],
    loadBalancing: 'Random',
  };
  const backends = families.flatMap((family) => backendOf(addresses, family, containerPort));
  const slice = { namespace, name, serviceName: name, backends: { [portKey('', protocol)]: backends } };
  return { service, slices: [slice] };
}

function backendOf(addresses: readonly IpAddress[], family: Family, port: number) {
  const address = addresses.find((each) => familyOf(each) === family);
  if (address === undefined) return [];
  const state = { ready: true, serving: true, terminating: false, nodeName: '', zone: '' };
  return [{ address, port, ...state, zoneHints: [], nodeHints: [] }];
}

function takenProblem({ namespace, pod }: Endpoint, port: HostPort, owner: string): Problem {
  const object = `Pod ${namespace}/${pod}`;
  const reason = `its host port ${formatHostPort(port)} belongs to Service ${owner} by now`;
  return { where: object, object, reason, inForce: 'everything of the pod but this host port' };
}
