// Whether a pod can have the host ports that it asks for: they exist on this node, and nobody else has them.
import { formatHostPort, hostAddresses, LOOPBACK, ServiceClaims } from '../datapath/host-ports.js';
import type { Endpoint, HostPort } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import type { Service } from '../model/service.js';
import { CNI_CODES, CniError } from './cni-error.js';

export interface HostPortClaims {
  readonly node: Node;
  readonly services: Iterable<Service>;
  readonly endpoints: readonly Endpoint[];
}

const ANYWHERE = ['', '0.0.0.0', '::', LOOPBACK];

/** Throws CniError with the first one that the pod cannot have. */
export function checkHostPorts(wanted: readonly HostPort[], { node, services, endpoints }: HostPortClaims): void {
  if (wanted.length === 0) return;
  const claims = new ServiceClaims(services, node);
  const taken = new Map<string, string>();
  for (const { hostPorts = [], namespace, pod } of endpoints) {
    for (const port of hostPorts) take(taken, port, { node, owner: `pod ${namespace}/${pod}` });
  }
  for (const port of wanted) {
    checkHostIP(port, node);
    const service = claims.ownerOf(port);
    const owner = take(taken, port, { node, owner: 'the pod itself' }) ?? (service && `Service ${service}`);
    if (owner === undefined) continue;
    const what = `the host port ${formatHostPort(port)} belongs to ${owner}`;
    throw new CniError(CNI_CODES.taken, what, 'nothing was changed; choose another host port, or try when it is free');
  }
}

/** Takes all of the port's addresses, or says who has one of them. */
function take(
  taken: Map<string, string>,
  port: HostPort,
  { node, owner }: { node: Node; owner: string },
): string | undefined {
  const keys = hostAddresses(port, node).map((address) => `${address} ${port.hostPort}/${port.protocol}`);
  const holder = keys.map((key) => taken.get(key)).find((name) => name !== undefined);
  if (holder === undefined) for (const key of keys) taken.set(key, owner);
  return holder;
}

function checkHostIP({ hostIP }: HostPort, { name, addresses }: Node): void {
  if (ANYWHERE.includes(hostIP) || addresses.includes(hostIP)) return;
  const what = `hostIP ${hostIP} is no address of node ${name}`;
  throw new CniError(CNI_CODES.invalidConfig, what, `it has ${addresses.join(', ')}, and ${LOOPBACK} for itself`);
}
