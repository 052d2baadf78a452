// The lab's cases can be resolved, and the judgement of a source is exact.
import { describe, expect, test } from 'vitest';
import { listCases } from '../../src/lab/cases.js';
import { type Directory, expectedSources, formatSource, matchesSource, targetOf } from '../../src/lab/directory.js';
import { allNodes, allPods, type LabMode, planLab } from '../../src/lab/plan.js';
import { FAMILIES } from '../../src/model/address.js';
import type { AddressPair } from '../../src/testbed/node.js';

const MODES: readonly LabMode[] = ['island', 'flat'];

const VARIANTS = MODES.flatMap((mode) => (['auto', 'never'] as const).map((sockets) => [mode, sockets] as const));

function directoryOf(mode: LabMode): Directory {
  const plan = planLab(mode);
  const nodes = new Map(allNodes(plan).map((node) => [node.name, node]));
  const addresses = new Map<string, AddressPair>([...nodes].map(([name, node]) => [name, node.addresses]));
  const blocks = new Map<string, readonly { first: number; last: number }[]>();
  for (const host of plan.hosts) {
    addresses.set(host.name, host.addresses);
    if (host.narrow) addresses.set(`${host.name}/narrow`, host.narrow);
  }
  addresses.set('router/out', plan.router.gateway);
  for (const cluster of plan.clusters) addresses.set(`router/${cluster.name}`, cluster.gateway);
  for (const pod of allPods(plan)) {
    addresses.set(pod.id, { ipv4: '10.244.1.2', ipv6: 'fd00:10:1:1::2' });
    blocks.set(pod.id, [{ first: 37120, last: 37375 }]);
    const node = nodes.get(pod.node);
    if (node) nodes.set(pod.id, node);
  }
  return { plan, addresses, nodeOf: nodes, blocks };
}

describe.each(VARIANTS)('every case of the %s lab, sockets %s', (mode, sockets) => {
  const directory = directoryOf(mode);
  const cases = listCases(directory.plan, sockets);

  test('has a target and, where the server tells the source, an expectation', () => {
    for (const one of cases) {
      expect(targetOf(directory, one.to, one.family).address).not.toBe('');
      const silent = one.expectedSource === 'reply' || one.expectedSource === 'refused';
      expect(expectedSources(directory, one).length > 0).toBe(!silent);
    }
  });

  test('names hops that are there, and an MTU that somebody must learn', () => {
    for (const one of cases) {
      expect(one.mtu !== undefined).toBe(one.action === 'mtu');
      for (const hop of one.hops ?? []) expect(directory.addresses.has(hop)).toBe(true);
      expect(one.hops !== undefined).toBe(one.action === 'trace' || one.action === 'mtr');
    }
  });

  test('appears once', () => {
    const keys = cases.map((one) => JSON.stringify(one));
    expect(new Set(keys).size).toBe(keys.length);
  });

  test.each(FAMILIES)('covers TCP, UDP and ICMP in %s', (family) => {
    const protocols = new Set(cases.filter((one) => one.family === family).map((one) => one.protocol));
    expect([...protocols].sort()).toEqual(['ICMP', 'TCP', 'UDP']);
  });
});

test('an island pod must leave by its node with a port of its own block', () => {
  const directory = directoryOf('island');
  const one = listCases(directory.plan, 'auto').find((each) => each.to === 'server' && each.family === 'ipv4');
  const [source] = one ? expectedSources(directory, one) : [];
  if (!source) throw new Error('no expectation');
  expect(formatSource(source)).toBe('192.0.2.11:37120-37375');
  expect(matchesSource('192.0.2.11:37120', source)).toBe(true);
  expect(matchesSource('192.0.2.11:37376', source)).toBe(false);
  expect(matchesSource('10.244.1.2:37120', source)).toBe(false);
});

test('a source without a port range matches any port of exactly its address', () => {
  expect(matchesSource('[fd00:10:1:1::2]:4000', { address: 'fd00:10:1:1::2' })).toBe(true);
  expect(matchesSource('[fd00:10:1:1::20]:4000', { address: 'fd00:10:1:1::2' })).toBe(false);
  expect(matchesSource('-', { address: 'fd00:10:1:1::2' })).toBe(false);
});
