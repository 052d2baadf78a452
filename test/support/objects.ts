// Objects of the model for tests, with everything that a test does not care about filled in.
import type { EgressPool } from '../../src/model/egress-pool.js';
import type { Endpoint, PortBlocks } from '../../src/model/endpoint.js';
import {
  type ClusterNetwork,
  DEFAULT_BLOCK_QUOTAS,
  DEFAULT_BLOCK_SIZE,
  DEFAULT_FLOW_LIMITS,
  DEFAULT_NAT_BEHAVIOUR,
  DEFAULT_NAT_PORTS,
  DEFAULT_NODE_PORTS,
  DEFAULT_PORT_ORDER,
  DEFAULT_REUSE_HOLD,
  DEFAULT_TIMEOUTS,
} from '../../src/model/network.js';
import type { Node } from '../../src/model/node.js';
import type { PodPool } from '../../src/model/pod-pool.js';
import type { Backend, EndpointSlice, Service } from '../../src/model/service.js';
import type { Snapshot } from '../../src/model/snapshot.js';

export function aNetwork(fields: Partial<ClusterNetwork> = {}): ClusterNetwork {
  return {
    clusterID: 'cluster-1',
    families: {
      ipv4: { mode: 'Island', podCIDRs: ['10.244.0.0/16'], neverTranslate: ['192.0.2.0/24'] },
      ipv6: { mode: 'Flat', podCIDRs: ['fd00:1:1::/48'], neverTranslate: [] },
    },
    natBehaviour: DEFAULT_NAT_BEHAVIOUR,
    natPorts: DEFAULT_NAT_PORTS,
    blockSize: DEFAULT_BLOCK_SIZE,
    blockOrder: 'Random',
    blockQuotas: DEFAULT_BLOCK_QUOTAS,
    reservedPorts: [],
    portOrder: DEFAULT_PORT_ORDER,
    reuseHold: DEFAULT_REUSE_HOLD,
    nodePorts: DEFAULT_NODE_PORTS,
    timeouts: DEFAULT_TIMEOUTS,
    flowLimits: DEFAULT_FLOW_LIMITS,
    ...fields,
  };
}

/** Node `number` of the cluster: 198.51.100.<number>, 10.244.<number>.0/24 and their IPv6 likes. */
export function aNode(number: number, fields: Partial<Node> = {}): Node {
  return {
    name: `node-${number}`,
    addresses: [`198.51.100.${number}`, `2001:db8::${number}`],
    podCIDRs: [`10.244.${number}.0/24`, `fd00:1:1:${number}::/64`],
    ...fields,
  };
}

export function aService(name: string, fields: Partial<Service> = {}): Service {
  return {
    namespace: 'shop',
    name,
    clusterIPs: ['10.96.0.10'],
    externalIPs: [],
    loadBalancerIPs: [],
    ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
    affinityTimeout: 0,
    sourceRanges: [],
    loadBalancing: 'Random',
    ...fields,
  };
}

export function aBackend(fields: Partial<Backend> = {}): Backend {
  return {
    address: '10.244.1.2',
    port: 8080,
    ready: true,
    serving: true,
    terminating: false,
    nodeName: '',
    zone: '',
    zoneHints: [],
    nodeHints: [],
    ...fields,
  };
}

/** `10.244.1.2:8080`, with `!` behind it when it is not ready, `~` when it serves and terminates; `@node-1` where. */
export function backends(...texts: string[]): Backend[] {
  return texts.map((text) => {
    const [, address = '', port = '', state = '', nodeName = ''] =
      /^\[?(.*?)\]?:(\d+)([!~]?)(?:@(.*))?$/.exec(text) ?? [];
    const ready = state === '';
    return aBackend({
      address,
      port: Number(port),
      ready,
      serving: state !== '!',
      terminating: state === '~',
      nodeName,
    });
  });
}

/** Ports by name for TCP, or by name and protocol: `dns/UDP`. */
export function aSlice(name: string, serviceName: string, ports: EndpointSlice['backends']): EndpointSlice {
  const keyed = Object.entries(ports).map(([port, list]) => [port.includes('/') ? port : `${port}/TCP`, list]);
  return { namespace: 'shop', name, serviceName, backends: Object.fromEntries(keyed) };
}

export function anEndpoint(fields: Partial<Endpoint> = {}): Endpoint {
  return {
    containerID: 'c1',
    interfaceName: 'eth0',
    netns: '/run/netns/pod',
    namespace: 'shop',
    pod: 'web-0',
    podUID: 'uid',
    addresses: ['10.244.1.2', 'fd00:1:1:1::2'],
    mac: '02:00:00:00:00:02',
    hostInterface: 'ist1',
    ifindex: 7,
    mtu: 1500,
    nat: nat(1),
    created: '2026-01-01T00:00:00Z',
    ...fields,
  };
}

/** Blocks of node 1, the same numbers in both families. */
export function nat(...blocks: number[]): PortBlocks[] {
  return ['198.51.100.1', '2001:db8::1'].map((address) => ({ address, blocks }));
}

/** Addresses of the node that has the label host=one. */
export function aPool(fields: Partial<EgressPool> = {}): EgressPool {
  return { name: 'pool', addresses: ['203.0.113.7'], nodeLabels: { host: 'one' }, nodeAddress: 'Included', ...fields };
}

interface Objects {
  readonly pools?: readonly EgressPool[];
  readonly podPools?: readonly PodPool[];
  readonly network?: ClusterNetwork | undefined;
  readonly nodes?: readonly Node[];
  readonly services?: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
}

export function aSnapshot({
  network,
  nodes = [],
  services = [],
  slices = [],
  pools = [],
  podPools = [],
}: Objects): Snapshot {
  const named = <T extends { namespace: string; name: string }>(objects: readonly T[]) =>
    new Map(objects.map((object) => [`${object.namespace}/${object.name}`, object]));
  return {
    network,
    nodes: new Map(nodes.map((node) => [node.name, node])),
    podPools: new Map(podPools.map((pool) => [pool.name, pool])),
    egressPools: new Map(pools.map((pool) => [pool.name, pool])),
    services: named(services),
    slices: named(slices),
    problems: [],
  };
}
