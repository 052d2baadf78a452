// From the two entries of a flow to one item: who, where, translated how, in which state.
import { describe, expect, test } from 'vitest';
import { createFlagDecoder } from '../../src/cli/view/flags.js';
import {
  addReply,
  type FlowKey,
  type FlowValue,
  type FlowViewer,
  isReply,
  pairKey,
  stateOf,
  viewFlow,
} from '../../src/cli/view/flow.js';
import { indexPods } from '../../src/cli/view/pods.js';
import { isProtocol, matches, viewTranslation } from '../../src/cli/view/translation.js';
import type { Endpoint } from '../../src/model/endpoint.js';

const FLAGS = createFlagDecoder(
  [
    { name: 'FLOW_REPLY', value: 1 },
    { name: 'FLOW_REWRITE_SOURCE', value: 2 },
    { name: 'FLOW_REWRITE_DESTINATION', value: 4 },
    { name: 'FLOW_SEEN_REPLY', value: 16 },
  ],
  'FLOW_',
);
const POD: Endpoint = {
  containerID: 'c1',
  interfaceName: 'eth0',
  netns: '/run/netns/p1',
  namespace: 'shop',
  pod: 'web-0',
  podUID: 'uid-1',
  addresses: ['10.244.1.10', 'fd00:244:1::10'],
  mac: '02:00:00:00:00:01',
  hostInterface: 'ist1',
  ifindex: 5,
  mtu: 1500,
  nat: [{ address: '192.0.2.11', blocks: [1] }],
  created: '2026-11-21T10:00:00.000Z',
};
const VIEWER: FlowViewer = { node: 'n1', pods: indexPods([POD]), now: 1000, flags: FLAGS };
const KEY: FlowKey = {
  source: '10.244.1.10',
  destination: '198.51.100.9',
  source_port: 50000,
  destination_port: 443,
  protocol: 6,
};
const VALUE: FlowValue = {
  source: '192.0.2.11',
  destination: '198.51.100.9',
  source_port: 37121,
  destination_port: 443,
  ifindex_in: 5,
  ifindex_out: 2,
  next_hop: '192.0.2.1',
  flags: 2 | 16,
  mtu: 1500,
  seen: 990,
  created: 900,
  packets: 3n,
  bytes: 180n,
};

test('a flow of a pod names the pod and both sides of the translation', () => {
  expect(viewFlow({ key: KEY, value: VALUE }, VIEWER)).toMatchObject({
    node: 'n1',
    pod: { namespace: 'shop', name: 'web-0' },
    protocol: 'tcp',
    source: { address: '10.244.1.10', port: 50000 },
    destination: { address: '198.51.100.9', port: 443 },
    translated: { source: { address: '192.0.2.11', port: 37121 }, destination: { address: '198.51.100.9', port: 443 } },
    translation: 'source',
    state: 'established',
    ageSeconds: 100,
    idleSeconds: 10,
    flags: ['rewrite_source', 'seen_reply'],
  });
});

test('the pair of an entry is found by reversing what it rewrites to', () => {
  expect(pairKey(KEY, VALUE)).toEqual({
    source: '198.51.100.9',
    destination: '192.0.2.11',
    source_port: 443,
    destination_port: 37121,
    protocol: 6,
  });
});

test('a reply adds its counters, and the livelier side says how idle the flow is', () => {
  const flow = viewFlow({ key: KEY, value: VALUE }, VIEWER);
  const reply = { ...VALUE, flags: 1 | 4, seen: 999, packets: 7n, bytes: 9000n };
  expect(addReply(flow, reply, 1000)).toMatchObject({ idleSeconds: 1, reply: { packets: 7n, bytes: 9000n } });
  expect(addReply(flow, undefined, 1000)).toBe(flow);
  expect(isReply({ key: KEY, value: reply }, FLAGS)).toBe(true);
  expect(isReply({ key: KEY, value: VALUE }, FLAGS)).toBe(false);
});

test('a flow that a pod answers names that pod', () => {
  const key = { ...KEY, source: '198.51.100.9', destination: '192.0.2.11', destination_port: 30080 };
  const value = { ...VALUE, source: '198.51.100.9', destination: '10.244.1.10', destination_port: 80, flags: 4 };
  const flow = viewFlow({ key, value }, VIEWER);
  expect(flow.pod).toEqual({ namespace: 'shop', name: 'web-0' });
  expect(viewTranslation(flow)).toMatchObject({
    translation: 'destination',
    inside: { address: '10.244.1.10', port: 80 },
    outside: { address: '192.0.2.11', port: 30080 },
    remote: { address: '198.51.100.9', port: 50000 },
  });
});

test('a flow between strangers names no pod', () => {
  expect(viewFlow({ key: { ...KEY, source: '10.9.9.9' }, value: VALUE }, VIEWER)).not.toHaveProperty('pod');
});

test('a translated source shows inside, outside and remote', () => {
  const item = viewTranslation(viewFlow({ key: KEY, value: VALUE }, VIEWER));
  expect(item).toMatchObject({
    inside: { address: '10.244.1.10', port: 50000 },
    outside: { address: '192.0.2.11', port: 37121 },
    remote: { address: '198.51.100.9', port: 443 },
  });
  expect(item).not.toHaveProperty('frontend');
});

test('with both sides translated the remote is the backend and the frontend is kept', () => {
  const value = { ...VALUE, destination: '10.244.2.7', destination_port: 8080, flags: 2 | 4 };
  expect(viewTranslation(viewFlow({ key: KEY, value }, VIEWER))).toMatchObject({
    translation: 'both',
    remote: { address: '10.244.2.7', port: 8080 },
    frontend: { address: '198.51.100.9', port: 443 },
  });
});

test('a flow that nothing rewrites is no translation', () => {
  expect(viewTranslation(viewFlow({ key: KEY, value: { ...VALUE, flags: 16 } }, VIEWER))).toBeUndefined();
});

test('an echo has the identifier as port of its sender, and no other port', () => {
  const key = { ...KEY, protocol: 1, source_port: 77, destination_port: 0 };
  const value = { ...VALUE, source_port: 37122, destination_port: 0, flags: 2 };
  const flow = viewFlow({ key, value }, VIEWER);
  expect(flow.destination).toEqual({ address: '198.51.100.9' });
  expect(flow.translated.source).toEqual({ address: '192.0.2.11', port: 37122 });
  expect(flow.state).toBe('one-way');
});

describe('the state', () => {
  test.each([
    [6, [], 'opening'],
    [6, ['seen_reply'], 'established'],
    [6, ['seen_reply', 'fin_original'], 'closing'],
    [6, ['seen_reply', 'fin_reply'], 'closing'],
    [6, ['seen_reply', 'fin_original', 'fin_reply'], 'closed'],
    [6, ['reset'], 'closing'],
    [6, ['seen_reply', 'reset', 'reset_valid'], 'closed'],
    [17, [], 'one-way'],
    [17, ['seen_reply'], 'two-way'],
    [58, ['seen_reply'], 'two-way'],
  ])('of protocol %d with %j is %s', (protocol, flags, state) => {
    expect(stateOf(protocol, flags)).toBe(state);
  });
});

test('a filter without a port takes every port, one with a port only that one', () => {
  expect(matches({ address: '192.0.2.1', port: 80 }, { address: '192.0.2.1' })).toBe(true);
  expect(matches({ address: '192.0.2.1', port: 80 }, { address: '192.0.2.1', port: 81 })).toBe(false);
  expect(matches({ address: '192.0.2.1' }, { address: '192.0.2.1', port: 80 })).toBe(false);
  expect(matches({ address: '192.0.2.2', port: 80 }, { address: '192.0.2.1' })).toBe(false);
});

test('icmp means that of either family', () => {
  expect([isProtocol('icmp', 'icmp'), isProtocol('icmpv6', 'icmp'), isProtocol('tcp', 'icmp')]).toEqual([
    true,
    true,
    false,
  ]);
});

test('bits that the enum does not name are shown as a number', () => {
  expect(FLAGS(2 | 512)).toEqual(['rewrite_source', '0x200']);
  expect(FLAGS(0)).toEqual([]);
});
