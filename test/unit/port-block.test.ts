// Which port block a pod gets: free, rested, and in an order that nobody outside can guess.
import { describe, expect, test } from 'vitest';
import { blockGrants } from '../../src/agent/block-grants.js';
import { loadBlockKey, orderBlocks } from '../../src/agent/block-order.js';
import { allocateBlock, type PortBlockInput } from '../../src/agent/port-block.js';
import { compileEndpoints } from '../../src/datapath/endpoints.js';
import { countBlocks } from '../../src/model/network.js';
import { createTemporaryDirectory } from '../support/grants.js';
import { aNetwork, aNode, anEndpoint } from '../support/objects.js';

const network = aNetwork({ natPorts: { first: 40_000, last: 40_399 }, blockSize: 100 });
const block = (number: number, count = 100) => ({ first: 40_000 + number * 100, count });
const input = (fields: Partial<PortBlockInput> = {}): PortBlockInput => ({
  network,
  nodeName: 'n1',
  taken: new Set(),
  order: [1, 2, 3],
  granted: [],
  released: [],
  ...fields,
});

describe('allocation', () => {
  test('takes the first in order', () => {
    expect(allocateBlock(input({ order: [3, 1, 2] }))).toBe(3);
  });

  test('passes over blocks of pods, of the journal, and those that rest', () => {
    const released = [{ ports: block(2), secondsAgo: 119 }];
    expect(allocateBlock(input({ taken: new Set([1]), released }))).toBe(3);
    expect(allocateBlock(input({ granted: [block(1)], released }))).toBe(3);
  });

  test('gives a block again once it has rested', () => {
    expect(allocateBlock(input({ order: [2], released: [{ ports: block(2), secondsAgo: 120 }] }))).toBe(2);
  });

  test('counts ports, not numbers, when the size of blocks was another one', () => {
    const released = [{ ports: { first: 40_150, count: 100 }, secondsAgo: 5 }];
    expect(allocateBlock(input({ released }))).toBe(3);
  });

  test('never gives a block before its time, and says when one becomes free', () => {
    const released = [
      { ports: block(1), secondsAgo: 20 },
      { ports: block(2), secondsAgo: 82.5 },
    ];
    expect(() => allocateBlock(input({ taken: new Set([3]), released }))).toThrow(
      expect.objectContaining({
        retrySeconds: 38,
        message:
          'no port block is free yet: the NAT ports 40000-40399 of node n1 hold 4 blocks of 100, and the 2 without an owner ' +
          'rest for 120 s after their last one (spec.nat.reuseHold); the next becomes free in 38 s',
      }),
    );
  });

  test('says that all have an owner', () => {
    expect(() => allocateBlock(input({ taken: new Set([1, 2, 3]) }))).toThrow(
      expect.objectContaining({
        retrySeconds: undefined,
        message:
          'no free port block: the NAT ports 40000-40399 of node n1 hold 4 blocks of 100, and all have an owner; ' +
          'make blockSize smaller or the range larger',
      }),
    );
  });
});

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
  const pod = anEndpoint({ block: 3 });
  const outside = anEndpoint({ containerID: 'c2', pod: 'lost', addresses: ['10.244.1.9'], block: 500 });
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
