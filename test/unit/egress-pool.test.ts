// EgressPools: what is understood, which addresses a node has by them, and which pools are refused.
import { describe, expect, test } from 'vitest';
import { checkSnapshot } from '../../src/model/check.js';
import { poolAddresses, translationAddresses } from '../../src/model/egress-pool.js';
import { convertEgressPool } from '../../src/source/egress-pool.js';
import { aNetwork, aNode, aPool, aSnapshot } from '../support/objects.js';

const manifest = (spec: object) => ({
  apiVersion: 'isthmus.dev/v1alpha1',
  kind: 'EgressPool',
  metadata: { name: 'pool' },
  spec: { nodeSelector: { matchLabels: { host: 'one' } }, ...spec },
});

describe('conversion', () => {
  test('takes addresses and CIDRs of both families, each address once', () => {
    const addresses = ['203.0.113.7', '203.0.113.96/30', '203.0.113.97', '2001:DB8:64::7', '2001:db8:64::10/127'];
    expect(convertEgressPool(manifest({ addresses }))).toEqual({
      name: 'pool',
      addresses: [
        ...['203.0.113.7', '203.0.113.96', '203.0.113.97', '203.0.113.98', '203.0.113.99'],
        ...['2001:db8:64::7', '2001:db8:64::10', '2001:db8:64::11'],
      ],
      nodeLabels: { host: 'one' },
      nodeAddress: 'Included',
    });
  });

  test.each<[string, object, RegExp]>([
    ['no addresses', { addresses: [] }, /spec\.addresses/],
    ['too many addresses', { addresses: ['10.0.0.0/8'] }, /more than 256/],
    ['what is no address', { addresses: ['203.0.113.256'] }, /not an IP address/],
    ['no selector', { addresses: ['203.0.113.7'], nodeSelector: undefined }, /nodeSelector/],
    ['a field that is not known', { addresses: ['203.0.113.7'], quotas: [] }, /quotas/],
  ])('refuses %s', (_name, spec, reason) => {
    expect(() => convertEgressPool(manifest(spec))).toThrow(reason);
  });
});

describe('the addresses of a node', () => {
  const node = aNode(1, { labels: { host: 'one', rack: 'a' } });
  const pool = aPool({ addresses: ['203.0.113.7', '2001:db8:64::7', '203.0.113.99'] });

  test('are its own first, and those of its pools', () => {
    expect(translationAddresses([pool], node, 'ipv4')).toEqual(['198.51.100.1', '203.0.113.7', '203.0.113.99']);
    expect(translationAddresses([pool], node, 'ipv6')).toEqual(['2001:db8::1', '2001:db8:64::7']);
    expect(translationAddresses([pool], aNode(2), 'ipv4')).toEqual(['198.51.100.2']);
    expect(poolAddresses([pool], node)).toEqual(pool.addresses);
    expect(poolAddresses([pool], aNode(2))).toEqual([]);
  });

  test('are without its own where a pool has that family and excludes it', () => {
    const only = aPool({ addresses: ['203.0.113.7'], nodeAddress: 'Excluded' });
    expect(translationAddresses([only], node, 'ipv4')).toEqual(['203.0.113.7']);
    expect(translationAddresses([only], node, 'ipv6')).toEqual(['2001:db8::1']);
  });
});

describe('a pool beside other objects', () => {
  const nodes = [aNode(1, { labels: { host: 'one', zone: 'z' } }), aNode(2, { labels: { host: 'two', zone: 'z' } })];
  const check = (...pools: ReturnType<typeof aPool>[]) => {
    const { egressPools, problems } = checkSnapshot(aSnapshot({ network: aNetwork(), nodes, pools }));
    return { names: [...egressPools.keys()], reasons: problems.map(({ object, reason }) => `${object}: ${reason}`) };
  };

  test('is good when its addresses are nobody else’s', () => {
    expect(check(aPool(), aPool({ name: 'q', addresses: ['203.0.113.8'] }))).toEqual({
      names: ['pool', 'q'],
      reasons: [],
    });
  });

  test.each<[string, Parameters<typeof aPool>[0], RegExp]>([
    ['selects two nodes', { nodeLabels: { zone: 'z' } }, /selects 2 nodes \(node-1, node-2\).*make a pool for each/],
    ['has a node’s address', { addresses: ['198.51.100.2'] }, /198\.51\.100\.2 is also an address of Node node-2/],
    ['has a pod’s address', { addresses: ['10.244.3.4'] }, /lies inside the pod CIDR 10\.244\.0\.0\/16/],
  ])('is refused when it %s', (_name, fields, reason) => {
    const { names, reasons } = check(aPool(fields));
    expect(names).toEqual([]);
    expect(reasons).toEqual([expect.stringMatching(reason)]);
  });

  test('is refused when another one has its address, the first in name order stays', () => {
    const { names, reasons } = check(aPool({ name: 'b' }), aPool({ name: 'a' }));
    expect(names).toEqual(['a']);
    expect(reasons).toEqual(['EgressPool b: its address 203.0.113.7 is also an address of EgressPool a']);
  });
});
