// Port blocks on request: who asked gets one, once, while nothing else changes; refusals have a name in the log.
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { BlockPlan } from '../../src/agent/block-plan.js';
import type { BlockContext } from '../../src/agent/blocks.js';
import { Growth } from '../../src/agent/growth.js';
import { SHORTAGE_KIND, type ShortageEvent } from '../../src/datapath/types.gen.js';
import type { Endpoint } from '../../src/model/endpoint.js';
import { DEFAULT_BLOCK_QUOTAS } from '../../src/model/network.js';
import { aNetwork, anEndpoint, nat } from '../support/objects.js';

const ADDRESSES = ['198.51.100.1', '2001:db8::1'];
const { SHORTAGE_NEAR, SHORTAGE_REFUSED, SHORTAGE_WAITING } = SHORTAGE_KIND;

let endpoints: Map<string, Endpoint>;
let lines: Record<string, unknown>[];
let reconciles: number;
let fail: boolean;

beforeEach(() => {
  endpoints = new Map();
  for (const endpoint of [anEndpoint(), anEndpoint({ containerID: 'c2', pod: 'web-1', ifindex: 9, nat: nat(2) })]) {
    endpoints.set(endpoint.containerID, endpoint);
  }
  [lines, reconciles, fail] = [[], 0, false];
});

function aGrowth(maximum = 3): Growth {
  const network = aNetwork({ blockQuotas: { ...DEFAULT_BLOCK_QUOTAS, maximum, podsPerNode: 0 } });
  const context: BlockContext = { network, addresses: ADDRESSES };
  return new Growth({
    store: {
      list: () => [...endpoints.values()],
      put: (endpoint) => void endpoints.set(endpoint.containerID, endpoint),
    },
    blocks: {
      plan: ({ addresses }, tenants) =>
        new BlockPlan({
          network,
          addresses,
          tenants,
          nodeName: 'n1',
          order: [1, 2, 3, 4, 5, 6],
          granted: [],
          released: [],
        }),
    },
    log: pino({ base: {} }, { write: (text: string) => void lines.push(JSON.parse(text)) }),
    current: () => context,
    reconcile: async () => {
      reconciles++;
      if (fail) throw new Error('the disk is full');
    },
  });
}

function event(fields: Partial<ShortageEvent> = {}): ShortageEvent {
  return {
    header: { type: 0, cpu: 0, time: 0n },
    ...{ pod: '10.244.1.2', remote: '203.0.113.9', remote_port: 443, protocol: 6, family: 0 },
    ...{ kind: SHORTAGE_WAITING, ifindex: 7, blocks: 1 },
    ...fields,
  };
}

const blocksOf = (containerID: string) => endpoints.get(containerID)?.nat.map(({ blocks }) => blocks);

describe('a request', () => {
  test('is answered by one block of that family, put in force at once', async () => {
    const growth = aGrowth();
    growth.handle(event());
    await growth.idle();
    expect(blocksOf('c1')).toEqual([[1, 3], [1]]);
    expect(reconciles).toBe(1);
    expect(lines).toEqual([
      expect.objectContaining({ msg: 'port block granted on request', pod: 'web-0', address: ADDRESSES[0], blocks: 2 }),
    ]);
  });

  test('that comes again is one request, and those of many pods are one change', async () => {
    const growth = aGrowth();
    for (const kind of [SHORTAGE_NEAR, SHORTAGE_WAITING, SHORTAGE_WAITING]) growth.handle(event({ kind }));
    growth.handle(event({ family: 1 }));
    growth.handle(event({ ifindex: 9 }));
    await growth.idle();
    expect([blocksOf('c1'), blocksOf('c2')]).toEqual([
      [
        [1, 3],
        [1, 3],
      ],
      [[2, 4], [2]],
    ]);
    expect(reconciles).toBeLessThanOrEqual(2);
  });

  test('that was answered meanwhile, or whose pod is gone, changes nothing', async () => {
    const growth = aGrowth();
    endpoints.set('c1', anEndpoint({ nat: nat(1, 3) }));
    for (const fields of [{}, { ifindex: 99 }, { ifindex: 0 }]) growth.handle(event(fields));
    await growth.idle();
    expect(blocksOf('c1')).toEqual([
      [1, 3],
      [1, 3],
    ]);
    expect(reconciles).toBe(0);
  });

  test('beyond the quota gives nothing, and the kernel is told so', async () => {
    const growth = aGrowth(1);
    growth.handle(event());
    await growth.idle();
    expect(blocksOf('c1')).toEqual([[1], [1]]);
    expect(reconciles).toBe(1);
    expect(lines).toEqual([expect.objectContaining({ msg: 'port block refused', pod: 'web-0' })]);
  });

  test('that could not be put in force is said, and the next one is answered all the same', async () => {
    const growth = aGrowth();
    fail = true;
    growth.handle(event());
    await growth.idle();
    expect(lines.at(-1)).toMatchObject({ level: 50, err: { message: 'the disk is full' } });
    fail = false;
    growth.handle(event({ ifindex: 9 }));
    await growth.idle();
    expect(blocksOf('c2')).toEqual([[2, 4], [2]]);
  });
});

test('a refusal names pod, remote and reason', () => {
  aGrowth(1).handle(event({ kind: SHORTAGE_REFUSED }));
  expect(lines).toEqual([
    expect.objectContaining({
      ...{ level: 40, namespace: 'shop', pod: 'web-0', remote: '203.0.113.9', remotePort: 443, protocol: 'tcp' },
      reason: expect.stringContaining('spec.nat.blocksPerPod.maximum'),
    }),
  ]);
  expect(reconciles).toBe(0);
});
