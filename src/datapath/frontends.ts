// Services taken apart: one unit for each service port and address family, with its frontends and its backends.
import { FAMILIES, type Family, familyOf, type IpAddress } from '../model/address.js';
import type { Node } from '../model/node.js';
import { compareText, inNameOrder } from '../model/order.js';
import type { EndpointSlice, Protocol, Service, ServicePort } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { canonical } from './table.js';
import type { Backend, ServiceKey } from './types.gen.js';

/** All frontends of one service port in one family share their backends, and so one service id. */
export interface Unit {
  /** `shop/web:http/TCP/ipv4`; the port's name may be empty. */
  readonly name: string;
  readonly service: Service;
  readonly port: ServicePort;
  readonly family: Family;
  readonly frontends: readonly ServiceKey[];
  /** Ready ones only, each once, in the order of address and port. */
  readonly backends: readonly Backend[];
}

/** IANA protocol numbers. */
const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** In name order. Units without a frontend are left out. */
export function listUnits(snapshot: Pick<Snapshot, 'services' | 'slices'>, node: Node): Unit[] {
  const slices = slicesByService(snapshot.slices);
  return inNameOrder(snapshot.services).flatMap(([name, service]) =>
    service.ports.flatMap((port) =>
      FAMILIES.map((family): Unit => {
        const unitName = `${name}:${port.name}/${port.protocol}/${family}`;
        const frontends = listFrontends({ service, port, family, node });
        const backends = listBackends(slices.get(name) ?? [], port.name, family);
        return { name: unitName, service, port, family, frontends, backends };
      }).filter(({ frontends }) => frontends.length > 0),
    ),
  );
}

function slicesByService(slices: Snapshot['slices']): Map<string, EndpointSlice[]> {
  return Map.groupBy(slices.values(), ({ namespace, serviceName }) => `${namespace}/${serviceName}`);
}

interface FrontendsInput {
  readonly service: Service;
  readonly port: ServicePort;
  readonly family: Family;
  readonly node: Node;
}

function listFrontends({ service, port, family, node }: FrontendsInput): ServiceKey[] {
  const protocol = PROTOCOL_NUMBERS[port.protocol];
  const at = (number: number) => (address: IpAddress) => ({ address, port: number, protocol });
  const inFamily = (address: IpAddress) => familyOf(address) === family;
  const keys = [...service.clusterIPs, ...service.externalAddresses].filter(inFamily).map(at(port.port));
  if (port.nodePort !== undefined) keys.push(...node.addresses.filter(inFamily).map(at(port.nodePort)));
  return [...new Map(keys.map((key) => [canonical(key), key])).values()];
}

/** A backend may be in several slices while it moves from one to another; it is ready when one of them says so. */
function listBackends(slices: readonly EndpointSlice[], portName: string, family: Family): Backend[] {
  const ready = slices
    .flatMap(({ backends }) => (Object.hasOwn(backends, portName) ? (backends[portName] ?? []) : []))
    .filter((backend) => backend.ready && familyOf(backend.address) === family);
  const unique = new Map(ready.map(({ address, port }) => [`${address} ${port}`, { address, port }]));
  return [...unique.values()].sort((a, b) => compareText(a.address, b.address) || a.port - b.port);
}
