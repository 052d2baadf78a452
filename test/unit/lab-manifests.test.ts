// What the lab writes is what the directory source accepts: everything, without a complaint.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { serviceManifest, sliceManifests } from '../../src/lab/manifests.js';
import { type LabMode, planLab } from '../../src/lab/plan.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { DirectorySource } from '../../src/source/directory.js';
import { networkManifest, nodeManifests } from '../../src/testbed/manifests.js';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ist-lab-'));
  await mkdir(directory, { recursive: true });
});

afterEach(() => rm(directory, { recursive: true, force: true }));

/** The first cluster of a lab, as its agents read it. */
async function readCluster(mode: LabMode): Promise<Snapshot> {
  const [cluster] = planLab(mode).clusters;
  if (!cluster) throw new Error('the plan has no cluster');
  const pods = Object.fromEntries(
    cluster.pods.map((pod, index) => [pod.id, { ipv4: `10.244.1.${index + 2}`, ipv6: `fd00:10:1:1::${index + 2}` }]),
  );
  const documents = [
    networkManifest(cluster),
    ...nodeManifests(cluster.nodes),
    ...cluster.services.map(serviceManifest),
    ...cluster.services.flatMap((service) => sliceManifests(cluster, service, pods)),
  ];
  await writeFile(join(directory, 'all.yaml'), documents.map((document) => stringify(document)).join('---\n'));
  const snapshots: Snapshot[] = [];
  const source = new DirectorySource({ directory, rescanMs: 60_000 });
  await source.start((snapshot) => snapshots.push(snapshot));
  await source.close();
  const last = snapshots.at(-1);
  if (!last) throw new Error('nothing was delivered');
  return last;
}

test.each(['island', 'flat'] as const)('the manifests of the %s lab are accepted', async (mode) => {
  const snapshot = await readCluster(mode);
  expect(snapshot.problems).toEqual([]);
  expect(snapshot.network?.clusterID).toBe('c1');
  expect(snapshot.network?.families.ipv4?.mode).toBe(mode === 'island' ? 'Island' : 'Flat');
  expect(snapshot.network?.families.ipv6?.mode).toBe('Flat');
  expect([...snapshot.nodes.keys()].sort()).toEqual(['c1-n1', 'c1-n2']);
});

test('a service has its VIPs, and its slices the addresses of its pods', async () => {
  const snapshot = await readCluster('island');
  expect(snapshot.services.get('default/web')?.loadBalancerIPs).toEqual(['203.0.113.1', '2001:db8:f1::1']);
  expect(snapshot.slices.get('default/pair-ipv4')?.backends['tcp/TCP']?.map(({ address }) => address)).toEqual([
    '10.244.1.2',
    '10.244.1.3',
  ]);
  expect(snapshot.slices.get('default/empty-ipv4')?.backends['tcp/TCP'] ?? []).toEqual([]);
});
