// What services shall do, said once more in the plainest way: no memory, no order, no ids. For comparison.
import type { Endpoint } from '../../src/model/endpoint.js';
import type { Node } from '../../src/model/node.js';
import type { Backend, Service, ServicePort } from '../../src/model/service.js';
import type { Snapshot } from '../../src/model/snapshot.js';

const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 };

/** Lines as those of resolveFrontends(). */
export function plainFrontends({ services, slices, nodes }: Snapshot, nodeName: string): string[] {
  const node = nodes.get(nodeName);
  if (node === undefined) throw new Error(`no node ${nodeName}`);
  const lines: string[] = [];
  for (const [name, service] of services) {
    const own = [...slices.values()].filter((slice) => `${slice.namespace}/${slice.serviceName}` === name);
    for (const port of service.ports) {
      const all = own.flatMap((slice) => slice.backends[`${port.name}/${port.protocol}`] ?? []);
      lines.push(...portLines({ service, port, node, all }));
    }
  }
  return lines.sort();
}

interface HostPortInput {
  readonly snapshot: Snapshot;
  readonly endpoints: readonly Endpoint[];
}

/** The same of host ports, without a hostIP, of pods of one family. */
export function plainHostPorts({ snapshot, endpoints }: HostPortInput, nodeName: string): string[] {
  const all = [...snapshot.services.values()].flatMap(({ ports }) => ports);
  return endpoints.flatMap(({ hostPorts = [], addresses: [address = ''] }) => {
    const own = [...(snapshot.nodes.get(nodeName)?.addresses ?? []), '127.0.0.1'];
    const free = hostPorts.filter(
      (port) => !all.some(({ nodePort, protocol }) => nodePort === port.hostPort && protocol === port.protocol),
    );
    return free.flatMap(({ protocol, hostPort, containerPort }) =>
      own
        .filter((each) => isIpv6(each) === isIpv6(address))
        .map((each) => `${each}:${hostPort}/${PROTOCOLS[protocol]} -> ${address}:${containerPort}`),
    );
  });
}

interface PortInput {
  readonly service: Service;
  readonly port: ServicePort;
  readonly node: Node;
  readonly all: readonly Backend[];
}

const isIpv6 = (address: string) => address.includes(':');

function portLines(input: PortInput): string[] {
  const { service, port, node } = input;
  const frontends = [
    ...service.clusterIPs.map((address) => ({ address, number: port.port, cluster: true, balanced: false })),
    ...service.loadBalancerIPs.map((address) => ({ address, number: port.port, cluster: false, balanced: true })),
    ...service.externalIPs.map((address) => ({ address, number: port.port, cluster: false, balanced: false })),
    ...(port.nodePort === undefined ? [] : node.addresses).map((address) => ({
      address,
      number: port.nodePort,
      cluster: false,
      balanced: false,
    })),
  ];
  return frontends.map(({ address, number, cluster, balanced }) => {
    const text = (policy: string) => targets(input, isIpv6(address), policy);
    const internal = text(cluster ? service.internalTrafficPolicy : 'Cluster');
    const external = text(cluster ? service.internalTrafficPolicy : service.externalTrafficPolicy);
    const restricted = balanced && service.sourceRanges.some((cidr) => isIpv6(cidr) === isIpv6(address));
    return (
      `${address}:${number}/${PROTOCOLS[port.protocol]} -> ` +
      (internal === external ? internal : `${internal} | ${external}`) +
      (service.affinityTimeout > 0 ? ` affinity=${service.affinityTimeout}` : '') +
      (service.loadBalancing === 'Maglev' ? ' maglev' : '') +
      (!cluster && isDirect(service) ? ' direct' : '') +
      (restricted ? ' restricted' : '')
    );
  });
}

/** Lines as those of directLines(): each pod of the node by every way in from outside. */
export function plainDirect({ services, slices }: Snapshot, nodeName: string): string[] {
  const lines = new Map<string, string>();
  for (const [name, service] of services) {
    const own = [...slices.values()].filter((slice) => `${slice.namespace}/${slice.serviceName}` === name);
    for (const port of isDirect(service) ? service.ports : []) {
      const all = own.flatMap((slice) => slice.backends[`${port.name}/${port.protocol}`] ?? []);
      const here = bestOfEach(all).filter((backend) => backend.nodeName === nodeName);
      // Of one pod's ports the lowest of those that are ready, or else of all.
      const rank = (backend: Backend) => (backend.ready ? 0 : 0x10000) + backend.port;
      for (const backend of here.sort((a, b) => rank(b) - rank(a))) {
        const vips = [...service.externalIPs, ...service.loadBalancerIPs].filter(
          (vip) => isIpv6(vip) === isIpv6(backend.address),
        );
        const ways = [
          ...vips.map((vip) => `${vip} ${port.port}`),
          ...(port.nodePort === undefined ? [] : [`:: ${port.nodePort}`]),
        ];
        for (const way of ways) {
          lines.set(`${PROTOCOLS[port.protocol]} ${way} at ${backend.address}`, `${backend.port}`);
        }
      }
    }
  }
  return [...lines].map(([text, target]) => `${text} -> ${target}`).sort();
}

function isDirect({ forwardingMode, externalTrafficPolicy }: Service): boolean {
  return forwardingMode === 'DirectReturn' && externalTrafficPolicy === 'Cluster';
}

function targets({ all, node }: PortInput, ipv6: boolean, policy: string): string {
  const family = bestOfEach(all.filter(({ address }) => isIpv6(address) === ipv6));
  const usable = (list: readonly Backend[]) => {
    const ready = list.filter((backend) => backend.ready);
    return ready.length > 0 ? ready : list.filter((backend) => backend.serving && backend.terminating);
  };
  const here = usable(family.filter(({ nodeName }) => nodeName === node.name));
  const anywhere = usable(family);
  if (policy === 'Local') return here.length > 0 ? textOf(here) : anywhere.length > 0 ? 'dropped' : '';
  return textOf(hinted(anywhere, node));
}

/** Hints are for ready backends only, and only when all of them have one. */
function hinted(usable: readonly Backend[], { name, zone = '' }: Node): readonly Backend[] {
  if (usable.length === 0 || !usable.every(({ ready }) => ready)) return usable;
  const forNode = usable.filter(({ nodeHints }) => nodeHints.includes(name));
  if (usable.every(({ nodeHints }) => nodeHints.length > 0) && forNode.length > 0) return forNode;
  const forZone = usable.filter(({ zoneHints }) => zoneHints.includes(zone));
  if (usable.every(({ zoneHints }) => zoneHints.length > 0) && forZone.length > 0) return forZone;
  return usable;
}

/** The same address and port in two slices: the one that is more able, and of equals the later text. */
function bestOfEach(all: readonly Backend[]): Backend[] {
  const score = ({ ready, serving, terminating }: Backend) =>
    Number(ready) * 4 + Number(serving) * 2 + Number(!terminating);
  const detail = ({ nodeName, zone, zoneHints, nodeHints }: Backend) =>
    JSON.stringify([nodeName, zone, zoneHints, nodeHints]);
  const sorted = [...all].sort((a, b) => score(a) - score(b) || (detail(a) < detail(b) ? -1 : 1));
  return [...new Map(sorted.map((backend) => [`${backend.address} ${backend.port}`, backend])).values()];
}

function textOf(list: readonly Backend[]): string {
  const byAddress = (a: Backend, b: Backend) =>
    a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port;
  return [...list]
    .sort(byAddress)
    .map(({ address, port }) => `${address}:${port}`)
    .join(' ');
}
