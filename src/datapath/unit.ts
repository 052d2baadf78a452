// Services taken apart: one unit for each service port and address family, with its frontends and its backends.
import { type Cidr, FAMILIES, type Family, familyOf, type IpAddress } from '../model/address.js';
import { compareText } from '../model/order.js';
import { isServing, type Place, type Selection, selectBackends } from '../model/selection.js';
import {
  type Backend,
  type EndpointSlice,
  type ForwardingMode,
  isExternallyAccessible,
  portKey,
  type Service,
  type ServicePort,
} from '../model/service.js';
import { type Frontend, listAddresses, listFrontends } from './frontends.js';

/** All frontends of one service port in one family share their backends, and so one service id. */
export interface Unit {
  /** `shop/web:http/TCP/ipv4`; the port's name may be empty. */
  readonly name: string;
  readonly service: Service;
  readonly port: ServicePort;
  readonly family: Family;
  readonly frontends: readonly Frontend[];
  /** All that the slices tell, each once, in the order of address and port. */
  readonly backends: readonly Backend[];
  readonly selection: Selection;
  /** Of UDP: backends whose flows go on. */
  readonly serving: readonly Backend[];
  /** Whether packets from outside for pods of other nodes are handed over to these. */
  readonly isDirect: boolean;
  /** Then: backends of this node, to which others may hand them over; those that are ready first. */
  readonly direct: readonly Backend[];
  /** Of its family. */
  readonly sourceRanges: readonly Cidr[];
}

/** What units depend on beside their own service. */
export interface UnitContext {
  readonly place: Place;
  readonly nodePortAddresses: readonly IpAddress[];
  /** Whether other ports of a cluster IP are refused. */
  readonly guardsClusterIPs: boolean;
  /** Of Services that do not say it. */
  readonly forwardingMode: ForwardingMode;
}

/** In the order of ports and families. Units without a frontend are left out. */
export function listUnits(service: Service, slices: readonly EndpointSlice[], context: UnitContext): Unit[] {
  return FAMILIES.flatMap((family) => {
    const addresses = context.guardsClusterIPs ? listAddresses(service, family) : [];
    return service.ports
      .map((port, index) => createUnit({ service, port, family, slices, context }, index === 0 ? addresses : []))
      .filter(({ frontends }) => frontends.length > 0);
  });
}

interface UnitInput {
  readonly service: Service;
  readonly port: ServicePort;
  readonly family: Family;
  readonly slices: readonly EndpointSlice[];
  readonly context: UnitContext;
}

function createUnit({ service, port, family, slices, context }: UnitInput, addresses: readonly Frontend[]): Unit {
  const backends = mergeBackends(slices, portKey(port.name, port.protocol), family);
  const { place, nodePortAddresses } = context;
  const isDirect = isForwardedDirectly(service, port, context);
  return {
    name: `${service.namespace}/${service.name}:${port.name}/${port.protocol}/${family}`,
    service,
    port,
    family,
    frontends: [...listFrontends({ service, port, family, nodePortAddresses }), ...addresses],
    backends,
    selection: selectBackends(backends, { service, port }, place),
    serving: port.protocol === 'UDP' ? backends.filter(isServing) : [],
    isDirect,
    direct: isDirect ? listDirect(backends, place) : [],
    sourceRanges: service.sourceRanges.filter((cidr) => familyOf(cidr) === family),
  };
}

function isForwardedDirectly(service: Service, port: ServicePort, { forwardingMode }: UnitContext): boolean {
  const mode = service.forwardingMode ?? forwardingMode;
  return (
    mode === 'DirectReturn' && service.externalTrafficPolicy === 'Cluster' && isExternallyAccessible(service, port)
  );
}

/** In whatever state: the node that chose one may know more, or less, than this one. */
function listDirect(backends: readonly Backend[], { nodeName }: Place): Backend[] {
  const here = backends.filter((backend) => backend.nodeName !== '' && backend.nodeName === nodeName);
  return here.sort((a, b) => Number(b.ready) - Number(a.ready));
}

/** A backend may be in several slices while it moves from one to another: what says most for it counts. */
function mergeBackends(slices: readonly EndpointSlice[], key: string, family: Family): Backend[] {
  const merged = new Map<string, Backend>();
  for (const { backends } of slices) {
    for (const backend of Object.hasOwn(backends, key) ? (backends[key] ?? []) : []) {
      if (familyOf(backend.address) !== family) continue;
      const text = `${backend.address} ${backend.port}`;
      const other = merged.get(text);
      if (other === undefined || compareMerit(backend, other) > 0) merged.set(text, backend);
    }
  }
  return [...merged.values()].sort((a, b) => compareText(a.address, b.address) || a.port - b.port);
}

/** Never 0 for backends that differ: which slice comes first must not matter. */
function compareMerit(a: Backend, b: Backend): number {
  const rank = ({ ready, serving, terminating }: Backend) =>
    (ready ? 4 : 0) + (serving ? 2 : 0) + (terminating ? 0 : 1);
  return rank(a) - rank(b) || compareText(detail(a), detail(b));
}

function detail({ nodeName, zone, zoneHints, nodeHints }: Backend): string {
  return JSON.stringify([nodeName, zone, zoneHints, nodeHints]);
}
