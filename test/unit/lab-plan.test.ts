// The lab's plan is consistent: addresses lie where they belong, and only an island repeats them.
import { describe, expect, test } from 'vitest';
import { allNamespaces, allNodes, type LabMode, planLab } from '../../src/lab/plan.js';
import { linkLines, routerLines } from '../../src/lab/topology.js';
import { contains, FAMILIES, overlaps } from '../../src/model/address.js';

const MODES: readonly LabMode[] = ['island', 'flat'];

describe.each(MODES)('the %s lab', (mode) => {
  const plan = planLab(mode);

  test.each(FAMILIES)('has nodes inside their segment and their pod CIDRs inside the cluster’s, %s', (family) => {
    for (const { segment, podCIDRs, nodes } of plan.clusters) {
      expect(nodes.every((node) => contains(segment[family], node.addresses[family]))).toBe(true);
      expect(nodes.every((node) => contains(podCIDRs[family], node.podCIDRs[family]))).toBe(true);
    }
  });

  test.each(FAMILIES)('has VIPs inside the range that the router sends to the cluster, %s', (family) => {
    for (const { vips, services } of plan.clusters) {
      expect(services.every((service) => contains(vips[family], service.vip[family]))).toBe(true);
    }
  });

  test('repeats pod addresses only where a family is an island', () => {
    const [first, second] = plan.clusters;
    for (const family of FAMILIES) {
      const repeated = overlaps(first?.podCIDRs[family] ?? '', second?.podCIDRs[family] ?? '');
      expect(repeated).toBe(first?.modes[family] === 'Island');
    }
  });

  test('gives every place a namespace of its own, all with the same prefix', () => {
    const names = allNamespaces(plan);
    expect(new Set(names).size).toBe(names.length);
    expect(names.every((name) => name.startsWith('ist-'))).toBe(true);
  });

  test('creates every device inside a namespace of the lab', () => {
    for (const line of linkLines(plan))
      expect(line).toMatch(/ netns ist-\S+ type veth peer name \S+ netns ist-router$/);
  });

  test('routes a pod CIDR at the router exactly when its family is flat', () => {
    const lines = routerLines(plan);
    for (const node of allNodes(plan)) {
      for (const family of FAMILIES) {
        const route = `route add ${node.podCIDRs[family]} via ${node.addresses[family]}`;
        const flat = family === 'ipv6' || mode === 'flat';
        expect(lines.includes(route)).toBe(flat);
      }
    }
  });
});

test('the plan refuses no device name that the kernel would refuse', () => {
  for (const line of routerLines(planLab('island'))) {
    const name = /^link set (\S+)/.exec(line)?.[1] ?? '';
    expect(name.length).toBeLessThan(16);
  }
});
