// Addresses and port blocks of pods: given once, in both families, and given back.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { orderBlocks } from '../../src/agent/block-order.js';
import { BlockPlan } from '../../src/agent/block-plan.js';
import { ExhaustedError } from '../../src/agent/exhausted.js';
import { allocateAddresses } from '../../src/agent/ipam.js';
import type { Cidr } from '../../src/model/address.js';
import type { Endpoint } from '../../src/model/endpoint.js';
import {
  type ClusterNetwork,
  DEFAULT_BLOCK_QUOTAS,
  DEFAULT_FLOW_LIMITS,
  DEFAULT_NAT_BEHAVIOUR,
  DEFAULT_NODE_PORTS,
  DEFAULT_REUSE_HOLD,
  DEFAULT_TIMEOUTS,
} from '../../src/model/network.js';
import { countBlocks } from '../../src/model/port-blocks.js';

const BOTH = { ipv4: familyOf('10.244.0.0/16'), ipv6: familyOf('fd00:244::/32') };

function familyOf(cidr: Cidr) {
  return { mode: 'Island' as const, podCIDRs: [cidr], neverTranslate: [] };
}

function network(changes: Partial<ClusterNetwork> = {}): ClusterNetwork {
  return {
    clusterID: 'test',
    families: BOTH,
    natBehaviour: DEFAULT_NAT_BEHAVIOUR,
    natPorts: { first: 36864, last: 65535 },
    blockSize: 256,
    blockOrder: 'Sequential',
    blockQuotas: DEFAULT_BLOCK_QUOTAS,
    reservedPorts: [],
    portOrder: 'Random',
    reuseHold: DEFAULT_REUSE_HOLD,
    nodePorts: DEFAULT_NODE_PORTS,
    timeouts: DEFAULT_TIMEOUTS,
    flowLimits: DEFAULT_FLOW_LIMITS,
    ...changes,
  };
}

/** A node that remembers its pods. */
class TestNode {
  readonly pods = new Map<number, Endpoint>();
  readonly cursors = new Map<Cidr, bigint>();
  readonly podCIDRs: readonly Cidr[];
  readonly network: ClusterNetwork;
  readonly addresses: readonly string[];

  constructor(
    podCIDRs: readonly Cidr[],
    net: ClusterNetwork = network(),
    addresses: readonly string[] = ['192.0.2.10'],
  ) {
    this.podCIDRs = podCIDRs;
    this.network = net;
    this.addresses = addresses;
  }

  add(pod: number): readonly string[] {
    const node = { name: 'n1', addresses: this.addresses, podCIDRs: this.podCIDRs };
    const endpoints = [...this.pods.values()];
    const addresses = allocateAddresses({ network: this.network, node, endpoints, cursors: this.cursors });
    const draft = { ...RECORD, addresses, containerID: `c${pod}` };
    this.pods.set(pod, { ...draft, nat: this.#plan(endpoints).place(draft) });
    return addresses;
  }

  blocks(pod: number): readonly number[] {
    return this.pods.get(pod)?.nat.flatMap(({ blocks }) => blocks) ?? [];
  }

  #plan(tenants: readonly Endpoint[]): BlockPlan {
    return new BlockPlan({
      network: this.network,
      nodeName: 'n1',
      addresses: this.addresses,
      tenants,
      order: orderBlocks(countBlocks(this.network), 'Sequential', new Uint8Array()),
      granted: [],
      released: [],
    });
  }
}

const RECORD: Endpoint = {
  containerID: '',
  interfaceName: 'eth0',
  netns: '/run/netns/x',
  namespace: 'test',
  pod: 'x',
  podUID: '',
  addresses: [],
  mac: '02:00:00:00:00:01',
  hostInterface: 'istx',
  ifindex: 1,
  mtu: 1500,
  nat: [],
  created: '2026-01-01T00:00:00Z',
};

test('a pod gets an address of each family, without the first and the last of IPv4, and a block that is not 0', () => {
  const node = new TestNode(['10.244.1.0/29', 'fd00:244:1::/125']);
  const given = [1, 2, 3, 4, 5, 6].map((pod) => node.add(pod).join(' '));
  expect(given).toEqual([
    '10.244.1.1 fd00:244:1::1',
    '10.244.1.2 fd00:244:1::2',
    '10.244.1.3 fd00:244:1::3',
    '10.244.1.4 fd00:244:1::4',
    '10.244.1.5 fd00:244:1::5',
    '10.244.1.6 fd00:244:1::6',
  ]);
  expect([1, 2, 3, 4, 5, 6].map((pod) => node.blocks(pod))).toEqual([[1], [2], [3], [4], [5], [6]]);
  expect(() => node.add(7)).toThrow(new ExhaustedError('no free address in the pod CIDRs 10.244.1.0/29 of node n1'));
});

test('D1: addresses are in the order of the pod CIDRs, which is the order that the cluster prefers', () => {
  expect(new TestNode(['10.244.1.0/24', 'fd00:244:1::/64']).add(1)).toEqual(['10.244.1.1', 'fd00:244:1::1']);
  expect(new TestNode(['fd00:244:1::/64', '10.244.1.0/24']).add(1)).toEqual(['fd00:244:1::1', '10.244.1.1']);
});

test('D2: a family that the node has no CIDR for, or that is not carried, is left out; none at all is an error', () => {
  expect(new TestNode(['fd00:244:1::/64']).add(1)).toEqual(['fd00:244:1::1']);
  const v4 = network({ families: { ipv4: BOTH.ipv4 } });
  expect(new TestNode(['10.244.1.0/24', 'fd00:244:1::/64'], v4).add(1)).toEqual(['10.244.1.1']);
  expect(() => new TestNode(['fd00:244:1::/64'], v4).add(1)).toThrow(
    new ExhaustedError('node n1 has no pod CIDR of a family that is carried'),
  );
});

test.each(['10.244.1.0/32', '10.244.1.0/31', 'fd00:244:1::/128'])('%s has room for nobody', (cidr) => {
  expect(() => new TestNode([cidr]).add(1)).toThrow(`no free address in the pod CIDRs ${cidr} of node n1`);
});

test("the node's own addresses are never a pod's", () => {
  const node = new TestNode(['10.244.1.0/30'], network(), ['10.244.1.1']);
  expect(node.add(1)).toEqual(['10.244.1.2']);
  expect(() => node.add(2)).toThrow(ExhaustedError);
});

test('a released address rests until the others had their turn', () => {
  const node = new TestNode(['10.244.1.0/29']);
  expect(node.add(1)).toEqual(['10.244.1.1']);
  const seen = [2, 3, 4, 5, 6].map((pod) => {
    node.pods.delete(pod - 1);
    return node.add(pod)[0];
  });
  expect(seen).toEqual(['10.244.1.2', '10.244.1.3', '10.244.1.4', '10.244.1.5', '10.244.1.6']);
  node.pods.clear();
  expect(node.add(7)).toEqual(['10.244.1.1']);
});

test('the next CIDR is used when the first is full, and all are named when all are', () => {
  const node = new TestNode(['10.244.1.0/30', '10.244.9.0/30']);
  const given = [1, 2, 3, 4].flatMap((pod) => node.add(pod));
  expect(given).toEqual(['10.244.1.1', '10.244.1.2', '10.244.9.1', '10.244.9.2']);
  expect(() => node.add(5)).toThrow('no free address in the pod CIDRs 10.244.1.0/30, 10.244.9.0/30 of node n1');
  node.pods.delete(2);
  expect(node.add(6)).toEqual(['10.244.1.2']);
});

test('blocks: those beyond the range do not exist, a remainder is no block, the error says what to change', () => {
  const node = new TestNode(
    ['10.244.1.0/24'],
    network({ natPorts: { first: 60000, last: 60000 + 3 * 64 + 62 }, blockSize: 64 }),
  );
  node.add(1);
  node.add(2);
  expect([1, 2].map((pod) => node.blocks(pod))).toEqual([[1], [2]]);
  expect(() => node.add(3)).toThrow(
    'no free port block: the NAT ports 60000-60254 of 192.0.2.10 on node n1 hold 3 blocks of 64, and all have an ' +
      'owner; make blockSize smaller or the range larger, or add IPv4 addresses with an EgressPool',
  );
  node.pods.delete(1);
  node.add(4);
  expect(node.blocks(4)).toEqual([1]);
});

test('whatever comes and goes, no two pods ever share an address or a block', () => {
  const step = fc.record({ pod: fc.nat(60), add: fc.boolean() });
  const cidrs = fc.subarray(['10.244.1.0/28', '10.244.2.0/29', 'fd00:244:1::/124', 'fd00:244:2::/64'], {
    minLength: 1,
  });
  fc.assert(
    fc.property(cidrs, fc.array(step, { maxLength: 300 }), (podCIDRs, steps) => {
      const node = new TestNode(podCIDRs);
      for (const { pod, add } of steps) {
        if (!add) node.pods.delete(pod);
        else if (!node.pods.has(pod)) tryAdd(node, pod);
        const pods = [...node.pods.values()];
        const addresses = pods.flatMap((one) => one.addresses);
        expect(new Set(addresses).size).toBe(addresses.length);
        const blocks = pods.flatMap(({ nat }) => nat.flatMap((one) => one.blocks));
        expect(new Set(blocks).size).toBe(blocks.length);
      }
    }),
    { numRuns: 60 },
  );
});

function tryAdd(node: TestNode, pod: number): void {
  try {
    node.add(pod);
  } catch (error) {
    if (!(error instanceof ExhaustedError)) throw error;
  }
}
