// What a Service must satisfy beside the ClusterNetwork, the nodes and the other services.
import type { IpAddress } from './address.js';
import { insidePods } from './check-node.js';
import type { CidrSet } from './cidr-set.js';
import type { Fault } from './fault.js';
import type { ClusterNetwork } from './network.js';
import type { Node } from './node.js';
import type { Service, ServicePort } from './service.js';

interface InsideFault {
  readonly network: ClusterNetwork | undefined;
  readonly fault: Fault | undefined;
}

const insideFaults = new WeakMap<Service, InsideFault>();

/** Accepts services one after the other; cluster IPs and frontends of an accepted one are taken. */
export class ServiceCheck {
  readonly #network: ClusterNetwork | undefined;
  readonly #inside: CidrSet;
  readonly #nodeAddresses: ReadonlySet<string>;
  readonly #clusterIPs = new Map<string, string>();
  readonly #frontends = new Map<string, string>();

  constructor(network: ClusterNetwork | undefined, inside: CidrSet, nodes: readonly Node[]) {
    this.#network = network;
    this.#inside = inside;
    this.#nodeAddresses = new Set(nodes.flatMap((node) => node.addresses));
  }

  /** Why the service is refused, or undefined. */
  accept(service: Service): Fault | undefined {
    const claims = service.ports.flatMap((port) => this.#claims(service, port));
    const fault =
      this.#insideFault(service) ??
      this.#nodePortFault(service) ??
      this.#clusterIpFault(service) ??
      this.#takenFault(claims);
    if (fault !== undefined) return fault;
    const name = `${service.namespace}/${service.name}`;
    for (const address of service.clusterIPs) this.#clusterIPs.set(address, name);
    for (const claim of claims) this.#frontends.set(claim, name);
    return undefined;
  }

  /** What it asks for and does not get. */
  gaps({ unknownForwardingMode }: Service): Fault[] {
    if (unknownForwardingMode === undefined) return [];
    const inForce = this.#network?.forwardingMode ?? 'Translated';
    const reason =
      `its annotation isthmus.dev/forwarding-mode is '${unknownForwardingMode}', neither Translated nor DirectReturn: ` +
      `it is forwarded by the ClusterNetwork's default, ${inForce}`;
    return [{ code: 'UnknownValue', reason }];
  }

  /** Every frontend of a port, once. An external address that is a node's meets the node ports of the others. */
  #claims(service: Service, { port, protocol, nodePort }: ServicePort): string[] {
    const external = externalAddresses(service);
    const claims = [...service.clusterIPs, ...external].map((address) => frontendText(address, port, protocol));
    if (nodePort !== undefined) claims.push(nodePortText(nodePort, protocol));
    const onNode = external.some((address) => this.#nodeAddresses.has(address));
    if (onNode && this.#isNodePort(port)) claims.push(nodePortText(port, protocol));
    return [...new Set(claims)];
  }

  #isNodePort(port: number): boolean {
    const range = this.#network?.nodePorts;
    return range === undefined || (port >= range.first && port <= range.last);
  }

  /** Once for an object: it is most of the work, and depends on the ClusterNetwork alone. */
  #insideFault(service: Service): Fault | undefined {
    const known = insideFaults.get(service);
    if (known !== undefined && known.network === this.#network) return known.fault;
    const fault = this.#findInside(service);
    insideFaults.set(service, { network: this.#network, fault });
    return fault;
  }

  #findInside(service: Service): Fault | undefined {
    for (const address of [...service.clusterIPs, ...externalAddresses(service)]) {
      const pods = this.#inside.find(address);
      if (pods !== undefined) return insidePods(address, pods.cidr);
    }
    return undefined;
  }

  #nodePortFault({ ports }: Service): Fault | undefined {
    const range = this.#network?.nodePorts;
    const outside = ports.find(({ nodePort }) => nodePort !== undefined && !this.#isNodePort(nodePort));
    if (outside === undefined) return undefined;
    const reason = `its node port ${outside.nodePort} lies outside the node ports ${range?.first}-${range?.last}`;
    return { code: 'PortOutsideRange', reason };
  }

  #clusterIpFault({ clusterIPs }: Service): Fault | undefined {
    const taken = clusterIPs.find((address) => this.#clusterIPs.has(address));
    if (taken === undefined) return undefined;
    const reason = `its cluster IP ${taken} belongs to Service ${this.#clusterIPs.get(taken)}`;
    return { code: 'DuplicateAddress', reason };
  }

  #takenFault(claims: readonly string[]): Fault | undefined {
    const taken = claims.find((text) => this.#frontends.has(text));
    if (taken !== undefined) {
      return { code: 'DuplicatePort', reason: `${taken} belongs to Service ${this.#frontends.get(taken)}` };
    }
    const twice = claims.find((text, index) => claims.indexOf(text) !== index);
    return twice === undefined ? undefined : { code: 'Invalid', reason: `two of its ports are ${twice}` };
  }
}

function externalAddresses({ externalIPs, loadBalancerIPs }: Service): IpAddress[] {
  return [...externalIPs, ...loadBalancerIPs];
}

function frontendText(address: string, port: number, protocol: string): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}/${protocol}`;
}

function nodePortText(port: number, protocol: string): string {
  return `node port ${port}/${protocol}`;
}
