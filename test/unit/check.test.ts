// Objects that contradict each other.
import { expect, test } from 'vitest';
import { checkSnapshot } from '../../src/model/check.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { aNetwork, aNode, aService, aSnapshot } from '../support/objects.js';

function problemsOf(snapshot: Snapshot): string[] {
  return checkSnapshot(snapshot).problems.map(({ object, reason, inForce }) => `${object}: ${reason} [${inForce}]`);
}

const network = aNetwork();

test('a snapshot without contradictions stays as it is', () => {
  const snapshot = aSnapshot({ network, nodes: [aNode(1), aNode(2)], services: [aService('web')] });
  expect(checkSnapshot(snapshot)).toEqual(snapshot);
});

test.each([
  [{ blockSize: 300 }, 'spec.nat.blockSize: 300 is not a power of two'],
  [{ natPorts: { first: 32767, last: 65535 } }, 'spec.nat.ports: 32767-65535 overlaps the node ports 30000-32767'],
  [{ natPorts: { first: 1000, last: 20000 } }, 'spec.nat.ports: 1000-20000 begins below 1024'],
  [
    { natPorts: { first: 40000, last: 40400 } },
    "spec.nat.blockSize: 40000-40400 has no room for the node's block and one pod's, of 256 ports each",
  ],
])('a ClusterNetwork with %o is refused', (fields, reason) => {
  const checked = checkSnapshot(aSnapshot({ network: aNetwork(fields), nodes: [aNode(1)] }));
  expect(checked.network).toBeUndefined();
  expect(checked.problems.map(({ object, reason }) => `${object}: ${reason}`)).toEqual([
    `ClusterNetwork default: ${reason}`,
  ]);
  expect([...checked.nodes.keys()]).toEqual(['node-1']);
});

test('a ClusterNetwork with more pod CIDRs than the datapath has room for is refused', () => {
  const podCIDRs = Array.from({ length: 9 }, (_, index) => `10.${index}.0.0/16`);
  const families = { ipv4: { mode: 'Flat' as const, podCIDRs, neverTranslate: [] } };
  expect(problemsOf(aSnapshot({ network: aNetwork({ families }) }))).toEqual([
    'ClusterNetwork default: spec: 9 pod CIDRs, but at most 8 of both families together [nothing of it]',
  ]);
});

test('of two nodes with overlapping pod CIDRs the first in name order stays', () => {
  const nodes = [aNode(3, { podCIDRs: ['10.244.1.128/25'] }), aNode(2), aNode(1)];
  const checked = checkSnapshot(aSnapshot({ network, nodes }));
  expect([...checked.nodes.keys()]).toEqual(['node-1', 'node-2']);
  expect(problemsOf(aSnapshot({ network, nodes }))).toEqual([
    'Node node-3: its pod CIDR 10.244.1.128/25 overlaps 10.244.1.0/24 of Node node-1 [nothing of it]',
  ]);
});

test('a node whose pod CIDR contains an earlier one is refused too', () => {
  const nodes = [aNode(1), aNode(2, { podCIDRs: ['10.244.0.0/20'] })];
  expect(problemsOf(aSnapshot({ network, nodes }))).toEqual([
    'Node node-2: its pod CIDR 10.244.0.0/20 overlaps 10.244.1.0/24 of Node node-1 [nothing of it]',
  ]);
});

test('a node outside the cluster is refused, in a family that the cluster carries', () => {
  const ipv4Only = aNetwork({ families: { ipv4: { mode: 'Flat', podCIDRs: ['10.244.0.0/16'], neverTranslate: [] } } });
  const nodes = [aNode(1, { podCIDRs: ['10.244.1.0/24', 'fd99::/64'] }), aNode(2, { podCIDRs: ['10.245.1.0/24'] })];
  expect(problemsOf(aSnapshot({ network: ipv4Only, nodes }))).toEqual([
    "Node node-2: its pod CIDR 10.245.1.0/24 lies outside the ClusterNetwork's 10.244.0.0/16 [nothing of it]",
  ]);
});

test('a node whose address is a pod address or another node is refused', () => {
  const nodes = [aNode(1), aNode(2, { addresses: ['10.244.9.9'] }), aNode(3, { addresses: ['198.51.100.1'] })];
  expect(problemsOf(aSnapshot({ network, nodes }))).toEqual([
    'Node node-2: its address 10.244.9.9 lies inside the pod CIDR 10.244.0.0/16 of the cluster [nothing of it]',
    'Node node-3: its address 198.51.100.1 is also the address of Node node-1 [nothing of it]',
  ]);
});

test('a node without an address of a family is in force, and what cannot be reached is said', () => {
  const snapshot = aSnapshot({ network, nodes: [aNode(1, { addresses: ['198.51.100.1'] })] });
  expect(problemsOf(snapshot)).toEqual([
    'Node node-1: it has no IPv6 address, so no route leads to its pods fd00:1:1:1::/64 [the rest of it]',
  ]);
  expect(checkSnapshot(snapshot).nodes.size).toBe(1);
});

test('a service address inside a pod CIDR is refused', () => {
  const services = [aService('a', { clusterIPs: ['10.244.0.10'] }), aService('b', { externalIPs: ['fd00:1:1::10'] })];
  expect(problemsOf(aSnapshot({ network, services }))).toEqual([
    'Service shop/a: its address 10.244.0.10 lies inside the pod CIDR 10.244.0.0/16 of the cluster [nothing of it]',
    'Service shop/b: its address fd00:1:1::10 lies inside the pod CIDR fd00:1:1::/48 of the cluster [nothing of it]',
  ]);
});

test('of two services with one cluster IP, frontend or node port the first in name order stays', () => {
  const port = { name: '', protocol: 'TCP', port: 80 } as const;
  const services = [
    aService('d', { clusterIPs: [], ports: [{ ...port, nodePort: 30080 }] }),
    aService('c', { clusterIPs: ['10.96.0.3'], externalIPs: ['192.0.2.1'], ports: [port] }),
    aService('b', { clusterIPs: ['10.96.0.1'], ports: [{ ...port, port: 81 }] }),
    aService('a', {
      clusterIPs: ['10.96.0.1'],
      externalIPs: ['192.0.2.1'],
      ports: [{ ...port, nodePort: 30080 }],
    }),
  ];
  expect(problemsOf(aSnapshot({ network, services }))).toEqual([
    'Service shop/b: its cluster IP 10.96.0.1 belongs to Service shop/a [nothing of it]',
    'Service shop/c: 192.0.2.1:80/TCP belongs to Service shop/a [nothing of it]',
    'Service shop/d: node port 30080/TCP belongs to Service shop/a [nothing of it]',
  ]);
});

test('services may share an external address on different ports and protocols', () => {
  const shared = { clusterIPs: [], externalIPs: ['192.0.2.1'] };
  const services = [
    aService('a', { ...shared, ports: [{ name: '', protocol: 'TCP', port: 53 }] }),
    aService('b', { ...shared, ports: [{ name: '', protocol: 'UDP', port: 53 }] }),
    aService('c', { ...shared, ports: [{ name: '', protocol: 'TCP', port: 80 }] }),
  ];
  expect(problemsOf(aSnapshot({ network, services }))).toEqual([]);
});

test("a node's address as external address meets the node ports", () => {
  const services = [
    aService('a', { clusterIPs: [], ports: [{ name: '', protocol: 'TCP', port: 80, nodePort: 30080 }] }),
    aService('b', {
      clusterIPs: [],
      externalIPs: ['198.51.100.1'],
      ports: [{ name: '', protocol: 'TCP', port: 30080 }],
    }),
  ];
  expect(problemsOf(aSnapshot({ network, nodes: [aNode(1)], services }))).toEqual([
    'Service shop/b: node port 30080/TCP belongs to Service shop/a [nothing of it]',
  ]);
});

test('a service that contradicts itself or the node ports is refused', () => {
  const http = { name: 'http', protocol: 'TCP', port: 80 } as const;
  const services = [
    aService('a', { ports: [http, { ...http, name: 'again' }] }),
    aService('b', { clusterIPs: [], ports: [{ ...http, nodePort: 20000 }] }),
  ];
  expect(problemsOf(aSnapshot({ network, services }))).toEqual([
    'Service shop/a: two of its ports are 10.96.0.10:80/TCP [nothing of it]',
    'Service shop/b: its node port 20000 lies outside the node ports 30000-32767 [nothing of it]',
  ]);
});

test('of two objects that contradict each other the older stays, whatever their names are', () => {
  const [older, newer] = [{ created: '2026-01-01T00:00:00Z' }, { created: '2026-01-02T00:00:00Z' }];
  const nodes = [aNode(1, older), aNode(2, { ...newer, name: 'a-liar', podCIDRs: ['10.244.1.0/24'] })];
  const services = [
    aService('web', { ...older, externalIPs: ['192.0.2.7'] }),
    aService('a-thief', { ...newer, clusterIPs: ['10.96.0.11'], externalIPs: ['192.0.2.7'] }),
  ];
  const snapshot = aSnapshot({ network, nodes, services });
  expect(problemsOf(snapshot)).toEqual([
    'Node a-liar: its pod CIDR 10.244.1.0/24 overlaps 10.244.1.0/24 of Node node-1 [nothing of it]',
    'Service shop/a-thief: 192.0.2.7:80/TCP belongs to Service shop/web [nothing of it]',
  ]);
  expect([...checkSnapshot(snapshot).nodes.keys()]).toEqual(['node-1']);
});

test('each kind of contradiction has a word of its own', () => {
  const podCIDRs = ['10.244.1.0/24'];
  const nodes = [
    aNode(1),
    aNode(2, { podCIDRs }),
    aNode(3, { addresses: ['198.51.100.1'] }),
    aNode(4, { addresses: ['10.244.9.9'] }),
    aNode(5, { podCIDRs: ['10.245.0.0/24'] }),
    aNode(6, { addresses: [] }),
  ];
  const http = { name: 'http', protocol: 'TCP', port: 80 } as const;
  const services = [
    aService('a', { externalIPs: ['192.0.2.7'] }),
    aService('b'),
    aService('c', { clusterIPs: [], externalIPs: ['192.0.2.7'] }),
    aService('d', { clusterIPs: ['10.244.9.9'] }),
    aService('e', { clusterIPs: ['10.96.0.12'], ports: [{ ...http, nodePort: 20_000 }] }),
    aService('f', { clusterIPs: ['10.96.0.13'], ports: [http, http] }),
    aService('g', { clusterIPs: ['10.96.0.14'], unknownForwardingMode: 'Bounce' }),
  ];
  const { problems } = checkSnapshot(aSnapshot({ network, nodes, services }));
  expect(problems.map(({ object, code }) => `${object} ${code}`)).toEqual([
    'Node node-2 OverlappingCIDR',
    'Node node-3 DuplicateAddress',
    'Node node-4 AddressInsidePodCIDR',
    'Node node-5 CIDROutsideNetwork',
    'Node node-6 NoAddress',
    'Node node-6 NoAddress',
    'Service shop/b DuplicateAddress',
    'Service shop/c DuplicatePort',
    'Service shop/d AddressInsidePodCIDR',
    'Service shop/e PortOutsideRange',
    'Service shop/f Invalid',
    'Service shop/g UnknownValue',
  ]);
});

test('a problem says where its object was defined', () => {
  const snapshot = aSnapshot({ network, services: [aService('a', { clusterIPs: ['10.244.0.10'] })] });
  const where = (object: string) => (object === 'Service shop/a' ? 'shop.yaml:12' : 'elsewhere');
  expect(checkSnapshot(snapshot, where).problems[0]?.where).toBe('shop.yaml:12');
});
