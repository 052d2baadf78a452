// Addresses of pools on the uplink: added once, removed by whoever comes later, and never those of somebody else.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { reconcileUplinkAddresses } from '../../src/agent/uplink-addresses.js';
import type { LinkInfo, Netlink } from '../../src/net/native.js';
import { createTemporaryDirectory } from '../support/grants.js';

const uplink: LinkInfo = { ifindex: 2, name: 'eth0', kind: 'veth', mac: '', mtu: 1500, up: true, peer: 0 };
const OWN = '192.0.2.10/24';

let directory: ReturnType<typeof createTemporaryDirectory>;
let present: Set<string>;
let deprecated: Set<string>;
let refused: string;

beforeEach(() => {
  directory = createTemporaryDirectory();
  [present, deprecated, refused] = [new Set([OWN]), new Set(), ''];
});
afterEach(() => directory[Symbol.dispose]());

const node = {
  addresses: () => [...present].map((address) => ({ ifindex: 2, address, scope: 'global' })),
  addAddress(_ifindex: number, address: string, old?: boolean) {
    if (address === refused) throw new Error('no buffer space');
    present.add(address);
    if (old === true) deprecated.add(address);
  },
  deleteAddress: (_ifindex: number, address: string) => present.delete(address),
} as unknown as Netlink;

const reconcile = (...wanted: string[]) => reconcileUplinkAddresses(wanted, { node, uplink, stateDir: directory.path });

test('are added as hosts that are no source of the node’s own connections, and removed when nobody wants them', () => {
  expect(reconcile('203.0.113.7', '2001:db8:64::7')).toEqual([]);
  expect([...present]).toEqual([OWN, '203.0.113.7/32', '2001:db8:64::7/128']);
  expect([...deprecated]).toEqual(['203.0.113.7/32', '2001:db8:64::7/128']);
  expect(reconcile('2001:db8:64::7')).toEqual([]);
  expect([...present]).toEqual([OWN, '2001:db8:64::7/128']);
  expect(reconcile()).toEqual([]);
  expect([...present]).toEqual([OWN]);
});

test('that were there before stay', () => {
  present.add('203.0.113.7/24');
  reconcile('203.0.113.7', '203.0.113.8');
  reconcile();
  expect([...present]).toEqual([OWN, '203.0.113.7/24']);
});

test('that the kernel refuses are named, and tried again', () => {
  refused = '203.0.113.7/32';
  expect(reconcile('203.0.113.7', '203.0.113.8')).toEqual([{ address: '203.0.113.7', reason: 'no buffer space' }]);
  expect([...present]).toEqual([OWN, '203.0.113.8/32']);
  refused = '';
  expect(reconcile('203.0.113.7', '203.0.113.8')).toEqual([]);
  expect(present).toContain('203.0.113.7/32');
});

test('leave no file when there never was a pool', () => {
  reconcile();
  expect(() => readFileSync(join(directory.path, 'uplink-addresses.json'))).toThrow(/ENOENT/);
});

test('that somebody took off the uplink come back', () => {
  reconcile('203.0.113.7');
  present.delete('203.0.113.7/32');
  reconcile('203.0.113.7');
  expect(present).toContain('203.0.113.7/32');
});
