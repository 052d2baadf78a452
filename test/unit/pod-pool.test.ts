// PodPools: what is understood, which blocks nodes get and keep, and which pools are refused.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describePool } from '../../src/agent/cluster/pool-status.js';
import { contains, familyOf, overlaps } from '../../src/model/address.js';
import { checkSnapshot } from '../../src/model/check.js';
import type { Node } from '../../src/model/node.js';
import { assignBlocks, type PodPool } from '../../src/model/pod-pool.js';
import { convertPodPool } from '../../src/source/pod-pool.js';
import { aNetwork, aNode, aSnapshot } from '../support/objects.js';

const manifest = (spec: object, status?: object) => ({
  apiVersion: 'isthmus.dev/v1alpha1',
  kind: 'PodPool',
  metadata: { name: 'racks' },
  spec,
  ...(status && { status }),
});

function aPodPool(fields: Partial<PodPool> = {}): PodPool {
  return {
    name: 'racks',
    cidrs: ['10.244.8.0/25', '10.244.200.0/26', 'fd00:1:1:f000::/63'],
    blockLengths: { ipv4: 26, ipv6: 64 },
    nodeLabels: {},
    assignments: [],
    ...fields,
  };
}

const bare = (name: string, fields: Partial<Node> = {}): Node => ({ ...aNode(1), name, podCIDRs: [], ...fields });
const NOBODY: ReadonlySet<string> = new Set();

function assign(pool: PodPool, nodes: readonly Node[]) {
  const pools = new Map([[pool.name, pool]]);
  return assignBlocks(pool, { nodes: new Map(nodes.map((node) => [node.name, node])), pools, refused: NOBODY });
}

describe('conversion', () => {
  test('takes discontiguous CIDRs of both families, and what the status says', () => {
    const cidrs = ['10.244.8.0/22', '10.244.200.0/24', 'fd00:10:244::/56'];
    const status = { nodes: 1, assignments: [{ node: 'n1', cidrs: ['10.244.8.0/26'] }] };
    expect(convertPodPool(manifest({ cidrs, nodeSelector: { matchLabels: { zone: 'a' } } }, status))).toEqual({
      name: 'racks',
      cidrs,
      blockLengths: { ipv4: 26, ipv6: 64 },
      nodeLabels: { zone: 'a' },
      assignments: [{ node: 'n1', cidrs: ['10.244.8.0/26'] }],
    });
  });

  test.each<[string, object, RegExp]>([
    ['no CIDR', { cidrs: [] }, /spec\.cidrs/],
    ['an address', { cidrs: ['10.244.8.1'] }, /not a CIDR/],
    ['a CIDR smaller than a block', { cidrs: ['10.244.8.0/27'] }, /10\.244\.8\.0\/27 has no room for a block of \/26/],
    ['a block of one address', { cidrs: ['10.244.8.0/24'], blockSize: { ipv4: 32 } }, /blockSize\.ipv4/],
    ['a field that is not known', { cidrs: ['10.244.8.0/24'], assign: 'Sticky' }, /assign/],
  ])('refuses %s', (_name, spec, reason) => {
    expect(() => convertPodPool(manifest(spec))).toThrow(reason);
  });
});

describe('the blocks of nodes', () => {
  test('are the first free ones, of each family that a node lacks', () => {
    const { assignments, unserved } = assign(aPodPool(), [
      bare('n1'),
      bare('n2', { podCIDRs: ['10.244.77.0/24'] }),
      bare('n3', { podCIDRs: ['10.244.8.0/26', 'fd00:1:1:5::/64'] }),
      bare('n4'),
    ]);
    expect(assignments).toEqual([
      { node: 'n1', cidrs: ['10.244.8.64/26', 'fd00:1:1:f000::/64'] },
      { node: 'n2', cidrs: ['fd00:1:1:f001::/64'] },
      { node: 'n4', cidrs: ['10.244.200.0/26'] },
    ]);
    expect(unserved).toEqual(['n4']);
  });

  test('are for the nodes that the pool selects', () => {
    const pool = aPodPool({ nodeLabels: { zone: 'a' }, cidrs: ['10.244.8.0/25'] });
    const { assignments } = assign(pool, [bare('n1'), bare('n2', { labels: { zone: 'a' } })]);
    expect(assignments).toEqual([{ node: 'n2', cidrs: ['10.244.8.0/26'] }]);
  });

  test('stay with a node that is away until no other is left', () => {
    const away = { node: 'gone', cidrs: ['10.244.8.0/26'] };
    const pool = aPodPool({ cidrs: ['10.244.8.0/25'], assignments: [away] });
    const first = assign(pool, [bare('n1')]);
    expect(first.assignments).toEqual([away, { node: 'n1', cidrs: ['10.244.8.64/26'] }]);
    const second = assign({ ...pool, assignments: first.assignments }, [
      bare('n1', { podCIDRs: ['10.244.8.64/26'] }),
      bare('n2'),
    ]);
    expect(second).toEqual({
      assignments: [
        { node: 'n1', cidrs: ['10.244.8.64/26'] },
        { node: 'n2', cidrs: ['10.244.8.0/26'] },
      ],
      unserved: [],
    });
  });

  test('whatever nodes come and go, no two overlap, none moves, and nothing changes without a reason', () => {
    const names = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 6 });
    const property = fc.property(fc.array(names, { minLength: 1, maxLength: 12 }), (steps) => {
      let pool = aPodPool();
      for (const present of steps) {
        const owned = new Map(pool.assignments.map(({ node, cidrs }) => [node, cidrs]));
        const nodes = present.map((n) => bare(`n${n}`, { podCIDRs: owned.get(`n${n}`) ?? [] }));
        const { assignments, unserved } = assign(pool, nodes);
        for (const { name, podCIDRs } of nodes) {
          const now = assignments.find(({ node }) => node === name)?.cidrs ?? [];
          expect(now.slice(0, podCIDRs.length)).toEqual(podCIDRs);
          if (!unserved.includes(name)) expect(now.map(familyOf).sort()).toEqual(['ipv4', 'ipv6']);
        }
        const all = assignments.flatMap(({ cidrs }) => cidrs);
        expect(all.filter((one, index) => all.some((other, at) => at < index && overlaps(one, other)))).toEqual([]);
        expect(all.every((one) => pool.cidrs.some((outer) => contains(outer, one)))).toBe(true);
        pool = { ...pool, assignments };
        const settled = nodes.map((node) => ({
          ...node,
          podCIDRs: assignments.find(({ node: owner }) => owner === node.name)?.cidrs ?? [],
        }));
        expect(assign(pool, settled).assignments).toBe(assignments);
      }
    });
    fc.assert(property, { numRuns: 50 });
  });
});

describe('a snapshot with pools', () => {
  const network = aNetwork();
  const given = aPodPool({ assignments: [{ node: 'node-1', cidrs: ['10.244.8.0/26', 'fd00:1:1:f000::/64'] }] });

  test('has nodes with their blocks', () => {
    const node = { ...aNode(1), podCIDRs: [] };
    const { nodes, problems } = checkSnapshot(aSnapshot({ network, nodes: [node], podPools: [given] }));
    expect(problems).toEqual([]);
    expect(nodes.get('node-1')?.podCIDRs).toEqual(['10.244.8.0/26', 'fd00:1:1:f000::/64']);
  });

  test('is told what the status of a pool is to say, once', () => {
    const node = { ...aNode(1), podCIDRs: [] };
    const fresh = checkSnapshot(aSnapshot({ network, nodes: [node], podPools: [aPodPool()] }));
    expect(describePool('PodPool racks', fresh)).toEqual({ nodes: 1, assignments: given.assignments });
    expect(describePool('EgressPool racks', fresh)).toBeUndefined();
    const settled = checkSnapshot(aSnapshot({ network, nodes: [node], podPools: [given] }));
    expect(describePool('PodPool racks', settled)).toBeUndefined();
  });

  test.each<[string, readonly PodPool[], string]>([
    ['outside the cluster', [aPodPool({ cidrs: ['172.16.0.0/24'] })], 'PodPool racks CIDROutsideNetwork'],
    [
      'that overlaps another one',
      [aPodPool({ name: 'first', cidrs: ['10.244.8.0/24'] }), aPodPool({ name: 'second', cidrs: ['10.244.8.64/26'] })],
      'PodPool second OverlappingCIDR',
    ],
    ['without a block for a node', [aPodPool({ cidrs: ['10.244.1.0/26'] })], 'PodPool racks Exhausted'],
  ])('names a pool %s', (_name, podPools, expected) => {
    const nodes = [aNode(1), { ...aNode(2), podCIDRs: [] }];
    const { problems } = checkSnapshot(aSnapshot({ network, nodes, podPools }));
    expect(problems.map(({ object, code }) => `${object} ${code}`)).toEqual([expected]);
  });

  test('a block that two nodes have is in force on one, and the other node is named', () => {
    const twice = aPodPool({
      assignments: [
        { node: 'node-1', cidrs: ['10.244.8.0/26'] },
        { node: 'node-2', cidrs: ['10.244.8.0/26'] },
      ],
    });
    const nodes = [1, 2].map((number) => ({ ...aNode(number), podCIDRs: [] }));
    const { nodes: accepted, problems } = checkSnapshot(aSnapshot({ network, nodes, podPools: [twice] }));
    expect([...accepted.keys()]).toEqual(['node-1']);
    expect(problems.map(({ object, code }) => `${object} ${code}`)).toContain('Node node-2 OverlappingCIDR');
  });
});
