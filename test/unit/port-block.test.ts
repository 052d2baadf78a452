// Which port blocks a pod gets: free, rested, of one address, within its quotas, and in an order that nobody can guess.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockGrants, isCovered } from '../../src/agent/block-grants.js';
import { loadBlockKey, orderBlocks } from '../../src/agent/block-order.js';
import { BlockPlan, type BlockPlanInput } from '../../src/agent/block-plan.js';
import { ExhaustedError } from '../../src/agent/exhausted.js';
import { bindingOf, type Tenant } from '../../src/agent/tenant.js';
import { compileEndpoints } from '../../src/datapath/endpoints.js';
import { FAMILIES, familyOf } from '../../src/model/address.js';
import type { BlockPorts } from '../../src/model/block-grant.js';
import { type BlockQuotas, DEFAULT_BLOCK_QUOTAS } from '../../src/model/network.js';
import { countBlocks, isUsable } from '../../src/model/port-blocks.js';
import { createTemporaryDirectory } from '../support/grants.js';
import { aNetwork, aNode, anEndpoint, nat } from '../support/objects.js';

const NODE = '198.51.100.1';
const POOL = '203.0.113.7';
const network = aNetwork({ natPorts: { first: 40_000, last: 40_399 }, blockSize: 100 });
const block = (number: number, count = 100): BlockPorts => ({ first: 40_000 + number * 100, count });

function aTenant(name: string, fields: Partial<Tenant> = {}): Tenant {
  return { containerID: name, interfaceName: 'eth0', namespace: 'shop', addresses: ['10.244.1.2'], nat: [], ...fields };
}

const owning = (name: string, ...blocks: number[]) => aTenant(name, { nat: [{ address: NODE, blocks }] });
const quotas = (fields: Partial<BlockQuotas>) => aNetwork({ ...network, blockQuotas: { ...QUOTAS, ...fields } });
/** Nothing is kept for pods that are still to come. */
const QUOTAS: BlockQuotas = { ...DEFAULT_BLOCK_QUOTAS, podsPerNode: 0 };

function plan(fields: Partial<BlockPlanInput> = {}): BlockPlan {
  return new BlockPlan({
    network: quotas({}),
    nodeName: 'n1',
    addresses: [NODE],
    tenants: [],
    order: [1, 2, 3],
    granted: [],
    released: [],
    ...fields,
  });
}

const grantOf = (ports: BlockPorts, outside = NODE) => ({
  ports,
  addresses: [{ inside: '10.244.1.9', outside }],
  owner: { kind: 'Node', name: 'n1' } as const,
});
const place = (fields: Partial<BlockPlanInput> = {}) => plan(fields).place(aTenant('new'));

describe('the first blocks', () => {
  test('are the first in order', () => {
    expect(place({ order: [3, 1, 2] })).toEqual([{ address: NODE, blocks: [3] }]);
    expect(place({ network: quotas({ initial: 2 }), order: [3, 1, 2] })).toEqual([{ address: NODE, blocks: [3, 1] }]);
  });

  test('are none of other pods, of the journal, nor resting or reserved ones', () => {
    const released = [{ ports: block(2), secondsAgo: 119 }];
    expect(place({ tenants: [owning('a', 1)], released })[0]?.blocks).toEqual([3]);
    expect(place({ granted: [grantOf(block(1))], released })[0]?.blocks).toEqual([3]);
    const reserved = { ...quotas({}), reservedPorts: [{ first: 40_250, last: 40_250 }] };
    expect(place({ network: reserved, tenants: [owning('a', 1)] })[0]?.blocks).toEqual([3]);
  });

  test('are given again once they have rested', () => {
    expect(place({ order: [2], released: [{ ports: block(2), secondsAgo: 120 }] })[0]?.blocks).toEqual([2]);
  });

  test('count by ports, not numbers, when the size of blocks was another one', () => {
    const released = [{ ports: { first: 40_150, count: 100 }, secondsAgo: 5 }];
    expect(place({ released })[0]?.blocks).toEqual([3]);
  });

  test('are of the address with the most free ones; what others own or left of another address does not matter', () => {
    const addresses = [NODE, POOL];
    expect(place({ addresses })[0]?.address).toBe(NODE);
    expect(place({ addresses, tenants: [owning('a', 1)] })).toEqual([{ address: POOL, blocks: [1] }]);
    expect(place({ addresses, granted: [grantOf(block(1))] })).toEqual([{ address: POOL, blocks: [1] }]);
    const released = [{ ports: block(1), outside: [POOL], secondsAgo: 1 }];
    expect(place({ addresses, released })).toEqual([{ address: NODE, blocks: [1] }]);
  });

  test('are of each family that pod and node have, each by itself', () => {
    const addresses = [NODE, '2001:db8::1', '2001:db8::7'];
    const dual = aTenant('new', { addresses: ['10.244.1.2', 'fd00::2'] });
    const tenants = [aTenant('a', { nat: [{ address: '2001:db8::1', blocks: [2] }] })];
    expect(plan({ addresses, tenants }).place(dual)).toEqual([
      { address: NODE, blocks: [1] },
      { address: '2001:db8::7', blocks: [1] },
    ]);
  });

  test('never come before their time, and the refusal says when they do', () => {
    const released = [
      { ports: block(1), secondsAgo: 20 },
      { ports: block(2), secondsAgo: 82.5 },
    ];
    expect(() => place({ tenants: [owning('a', 3)], released })).toThrow(
      expect.objectContaining({
        retrySeconds: 38,
        message:
          'no port block is free yet: the NAT ports 40000-40399 of 198.51.100.1 on node n1 hold 4 blocks of 100, and the ' +
          '2 without an owner rest for 120 s after their last one (spec.nat.reuseHold); the next becomes free in 38 s',
      }),
    );
  });

  test('are refused when all have an owner, or the namespace has its share', () => {
    expect(() => place({ tenants: [owning('a', 1, 2, 3)] })).toThrow(
      expect.objectContaining({ retrySeconds: undefined, message: expect.stringContaining('all have an owner') }),
    );
    const full = quotas({ namespaces: { shop: 1 } });
    expect(() => place({ network: full, tenants: [owning('a', 1)] })).toThrow(/'shop' .*blocksPerNamespace/);
    const other = aTenant('new', { namespace: 'bank' });
    expect(plan({ network: full, tenants: [owning('a', 1)] }).place(other)[0]?.blocks).toEqual([2]);
  });
});

describe('another block', () => {
  const grow = (fields: Partial<BlockPlanInput>) => plan(fields).grow(owning('a'), 'ipv4');

  test('joins those that the pod has, of the same address', () => {
    const tenants = [owning('a', 1), aTenant('b', { nat: [{ address: POOL, blocks: [] }] })];
    expect(grow({ addresses: [NODE, POOL], tenants })).toEqual([{ address: NODE, blocks: [1, 2] }]);
  });

  test.each<[string, Partial<BlockPlanInput>, RegExp]>([
    ['its maximum', { network: quotas({ maximum: 1 }) }, /maximum/],
    ['the share of its namespace', { network: quotas({ perNamespace: 1 }) }, /blocksPerNamespace/],
    ['what pods need that are still to come', { network: quotas({ podsPerNode: 3 }) }, /podsPerNode 3/],
    ['what is left', { order: [1] }, /left|free/],
    ['those that have rested', { released: [{ ports: { first: 40_000, count: 400 }, secondsAgo: 1 }] }, /rest for/],
  ])('is refused beyond %s', (_name, fields, reason) => {
    const tenants = [owning('a', 1)];
    expect(() => grow({ tenants, ...fields })).toThrow(reason);
    const one = plan({ tenants, ...fields });
    expect(one.whyNot(owning('a', 1), 'ipv4')).toMatch(reason);
    expect(one.growable().addresses).toEqual(new Set());
  });

  test('may be had by whom the plan says, and otherwise by waiting', () => {
    const tenants = [owning('a', 1)];
    expect(plan({ tenants }).growable()).toEqual({ addresses: new Set(['10.244.1.2']), secondsToWait: undefined });
    const released = [{ ports: { first: 40_000, count: 400 }, secondsAgo: 100 }];
    expect(plan({ tenants, released }).growable()).toEqual({ addresses: new Set(), secondsToWait: 20 });
  });
});

describe('what a pod has', () => {
  const refused = (error: ExhaustedError): never => {
    throw error;
  };

  test('stays as long as it is good', () => {
    expect(plan({ tenants: [owning('a', 1, 3)] }).repair(owning('a', 1, 3), refused)).toBeUndefined();
  });

  test('shrinks by ports that were reserved, and is bound anew when nothing is left or the address is gone', () => {
    const reserved = { ...quotas({}), reservedPorts: [{ first: 40_300, last: 40_300 }] };
    const repair = (one: Tenant, fields: Partial<BlockPlanInput> = {}) =>
      plan({ network: reserved, tenants: [one], ...fields }).repair(one, refused);
    expect(repair(owning('a', 1, 3))).toEqual([{ address: NODE, blocks: [1] }]);
    expect(repair(owning('a', 3))).toEqual([{ address: NODE, blocks: [1] }]);
    expect(repair(owning('a', 1), { addresses: [POOL] })).toEqual([{ address: POOL, blocks: [1] }]);
  });

  test('is nothing when nothing is left, which somebody is told', () => {
    const reasons: string[] = [];
    const stray = owning('a', 7);
    const nothing = plan({ tenants: [stray], granted: [grantOf({ first: 40_000, count: 400 })] }).repair(
      stray,
      (error) => reasons.push(error.message),
    );
    expect(nothing).toEqual([]);
    expect(reasons).toEqual([expect.stringContaining('no free port block')]);
  });
});

test('whatever comes, grows and goes: no two pods share a block, nobody exceeds a quota, all of a pod is of one address', () => {
  const step = fc.record({ pod: fc.nat(12), action: fc.constantFrom('add', 'grow', 'grow', 'grow', 'remove') });
  const settings = fc.record({
    initial: fc.integer({ min: 1, max: 3 }),
    maximum: fc.integer({ min: 3, max: 6 }),
    perNamespace: fc.integer({ min: 1, max: 12 }),
    podsPerNode: fc.nat(8),
    reserved: fc.array(fc.integer({ min: 40_100, max: 42_000 }), { maxLength: 4 }),
    pools: fc.subarray([POOL, '203.0.113.99', '2001:db8::7']),
  });
  fc.assert(
    fc.property(settings, fc.array(step, { maxLength: 120 }), ({ reserved, pools, ...rest }, steps) => {
      const net = aNetwork({
        natPorts: { first: 40_000, last: 41_999 },
        blockSize: 128,
        blockQuotas: { ...rest, namespaces: { n0: 3 } },
        reservedPorts: reserved.map((port) => ({ first: port, last: port })),
      });
      const pods = new Map<number, Tenant>();
      for (const one of steps) act(pods, one, { network: net, addresses: [NODE, '2001:db8::1', ...pools] });
    }),
    { numRuns: 150 },
  );
});

type Ground = Pick<BlockPlanInput, 'network' | 'addresses'>;

function act(pods: Map<number, Tenant>, { pod, action }: { pod: number; action: string }, ground: Ground): void {
  const order = orderBlocks(countBlocks(ground.network), 'Random', Buffer.alloc(32, 7));
  const now = plan({ ...ground, tenants: [...pods.values()], order });
  const known = pods.get(pod);
  const growable = now.growable().addresses;
  try {
    if (action === 'remove') pods.delete(pod);
    else if (action === 'grow' && known !== undefined) {
      const family = pod % 3 === 0 ? 'ipv6' : 'ipv4';
      const inside = known.addresses.find((address) => familyOf(address) === family) ?? '';
      const grown = attempt(() => now.grow(known, family));
      // Who is said to get one gets one, and nobody else.
      expect(grown !== undefined).toBe(growable.has(inside));
      if (grown !== undefined) pods.set(pod, { ...known, nat: grown });
    } else if (action === 'add' && known === undefined) {
      const addresses = [`10.244.1.${pod + 1}`, `fd00::${pod + 1}`];
      const tenant = aTenant(`c${pod}`, { namespace: `n${pod % 3}`, addresses });
      const placed = attempt(() => now.place(tenant));
      if (placed !== undefined) pods.set(pod, { ...tenant, nat: placed });
    }
  } finally {
    expectOrder([...pods.values()], ground);
  }
}

function attempt<T>(task: () => T): T | undefined {
  try {
    return task();
  } catch (error) {
    if (error instanceof ExhaustedError) return undefined;
    throw error;
  }
}

function expectOrder(pods: readonly Tenant[], { network: net, addresses }: Ground): void {
  const { maximum, perNamespace = Infinity, namespaces } = net.blockQuotas;
  const all = pods.flatMap(({ nat: have }) =>
    have.flatMap(({ address, blocks }) => blocks.map((one) => `${address} ${one}`)),
  );
  expect(new Set(all).size).toBe(all.length);
  for (const { nat: have } of pods) {
    expect(have.map(({ address }) => familyOf(address))).toEqual([...FAMILIES]);
    for (const { address, blocks } of have) {
      expect(addresses).toContain(address);
      expect(blocks.length >= 1 && blocks.length <= maximum).toBe(true);
      expect(blocks.every((one) => one > 0 && isUsable(net, one))).toBe(true);
    }
  }
  for (const [namespace, list] of Map.groupBy(pods, (pod) => pod.namespace)) {
    for (const family of FAMILIES) {
      const owned = list.reduce((sum, pod) => sum + (bindingOf(pod, family)?.blocks.length ?? 0), 0);
      expect(owned).toBeLessThanOrEqual(namespaces[namespace] ?? perNamespace);
    }
  }
}

describe('the order of blocks', () => {
  const keys = [1, 2].map((byte) => Buffer.alloc(32, byte));
  const count = countBlocks(aNetwork());

  test('has every block but the node’s once, whatever the key is', () => {
    for (const key of keys) {
      const sorted = orderBlocks(count, 'Random', key).sort((a, b) => a - b);
      expect(sorted).toEqual(Array.from({ length: count - 1 }, (_, index) => index + 1));
    }
    expect(count).toBe(112);
  });

  test('is another one with another key, and the same with the same key', () => {
    const orders = keys.map((key) => orderBlocks(count, 'Random', key).join());
    expect(orders[0]).not.toBe(orders[1]);
    expect(orderBlocks(count, 'Random', Buffer.alloc(32, 1)).join()).toBe(orders[0]);
  });

  test('ascends on request', () => {
    expect(orderBlocks(4, 'Sequential', Buffer.alloc(32))).toEqual([1, 2, 3]);
  });

  test('lets no neighbour be guessed: neighbours in order are neighbours in number as often as by chance', () => {
    let close = 0;
    for (let run = 0; run < 100; run++) {
      const order = orderBlocks(count, 'Random', Buffer.alloc(32, run));
      close += order.filter((number, index) => number + 1 === order[index + 1]).length;
    }
    // One in 111 by chance: 99 of 11000 on average.
    expect(close).toBeGreaterThan(50);
    expect(close).toBeLessThan(170);
  });

  test('has a key for each boot, kept for the next agent', () => {
    using dir = createTemporaryDirectory();
    const key = loadBlockKey(dir.path, 'boot-1');
    expect(key).toHaveLength(32);
    expect(loadBlockKey(dir.path, 'boot-1')).toEqual(key);
    expect(loadBlockKey(dir.path, 'boot-2')).not.toEqual(key);
  });
});

test('grants are what the endpoints map says: one a pod with both families, and the node’s own', () => {
  const pod = anEndpoint({ nat: nat(3) });
  const outside = anEndpoint({ containerID: 'c2', pod: 'lost', addresses: ['10.244.1.9'], nat: nat(500) });
  const { table } = compileEndpoints({ network: aNetwork(), node: aNode(1), endpoints: [pod, outside] });
  expect(blockGrants({ table, endpoints: [pod, outside], node: 'node-1', clusterID: 'c' })).toEqual([
    {
      ports: { first: 36_864, count: 256 },
      addresses: [
        { inside: '198.51.100.1', outside: '198.51.100.1' },
        { inside: '2001:db8::1', outside: '2001:db8::1' },
      ],
      owner: { kind: 'Node', name: 'node-1' },
      node: 'node-1',
      clusterID: 'c',
    },
    {
      ports: { first: 37_632, count: 256 },
      addresses: [
        { inside: '10.244.1.2', outside: '198.51.100.1' },
        { inside: 'fd00:1:1:1::2', outside: '2001:db8::1' },
      ],
      owner: { kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'uid', containerID: 'c1' },
      node: 'node-1',
      clusterID: 'c',
    },
  ]);
});

test('a pod with several blocks has a grant for each; one that grew is covered by what it has now, one that lost is not', () => {
  const grantsOf = (endpoint: ReturnType<typeof anEndpoint>) => {
    const { table } = compileEndpoints({ network: aNetwork(), node: aNode(1), endpoints: [endpoint] });
    const grants = blockGrants({ table, endpoints: [endpoint], node: 'node-1', clusterID: 'c' });
    return grants.filter(({ owner }) => owner.kind === 'Pod');
  };
  const [ipv4, ipv6] = nat(3);
  const before = grantsOf(anEndpoint({ nat: nat(3) }));
  const grown = grantsOf(
    anEndpoint({ nat: [...(ipv4 ? [{ ...ipv4, blocks: [3, 9] }] : []), ...(ipv6 ? [ipv6] : [])] }),
  );
  expect(grown.map(({ ports, addresses }) => [ports.first, addresses.map(({ outside }) => outside)])).toEqual([
    [37_632, ['198.51.100.1', '2001:db8::1']],
    [39_168, ['198.51.100.1']],
  ]);
  expect(before.every((grant) => isCovered(grant, grown))).toBe(true);
  const both = grantsOf(anEndpoint({ nat: nat(3, 9) }));
  expect(grown.every((grant) => isCovered(grant, both))).toBe(true);
  expect(both.some((grant) => isCovered(grant, before))).toBe(true);
  expect(both.every((grant) => isCovered(grant, before))).toBe(false);
});
