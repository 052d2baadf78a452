// Installs the agent as people do: the definitions of our kinds, then an overlay of deploy/kustomize with this cluster's values.
import { mkdirSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stringify } from 'yaml';
import { ROOT } from '../../src/testbed/files.js';
import type { Cluster } from './cluster.js';
import { AGENT_IMAGE } from './images.js';
import type { Kubectl } from './kubectl.js';
import { API_PORT } from './plan.js';

export type Overlay = 'flat' | 'island' | 'dual-stack' | 'ipv6-only';

/** A folder of deploy/kustomize/components. */
export type Component = 'capabilities' | 'cleanup';

export const NAMESPACE = 'isthmus-system';

const KUSTOMIZE = `${ROOT}/deploy/kustomize`;
/** What the overlays call the image. */
const PUBLISHED = 'ghcr.io/isthmus-dev/isthmus';

/** Applies; returns when the API server has all objects. */
export async function install(cluster: Cluster, kubectl: Kubectl, overlay: Overlay): Promise<void> {
  await kubectl.run('apply', '-f', `${ROOT}/deploy/crds`);
  await kubectl.run('wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all');
  await kubectl.run('apply', '-k', writeOverlay(cluster, overlay));
}

/** Waits until every node is ready and every agent is. */
export async function waitUntilReady(kubectl: Kubectl): Promise<void> {
  await kubectl.run('rollout', 'status', 'daemonset/isthmus', '-n', NAMESPACE, '--timeout=90s');
  await kubectl.run('wait', '--for=condition=Ready', '--timeout=60s', 'node', '--all');
}

/** An overlay on the overlay: image, address of the API server, and where this machine has its cgroup2. Returns its folder. */
export function writeOverlay({ plan }: Cluster, overlay: Overlay, ...components: readonly Component[]): string {
  const folder = `${plan.directory}/deploy-${[overlay, ...components].join('-')}`;
  mkdirSync(folder, { recursive: true });
  const [newName, newTag] = AGENT_IMAGE.split(':');
  const literals = [
    'ISTHMUS_CGROUP=/host/cgroup/unified',
    `KUBERNETES_SERVICE_HOST=${plan.controlPlane.addresses.ipv4}`,
    `KUBERNETES_SERVICE_PORT=${API_PORT}`,
  ];
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [relative(folder, `${KUSTOMIZE}/overlays/${overlay}`)],
    components: components.map((name) => relative(folder, `${KUSTOMIZE}/components/${name}`)),
    images: [{ name: PUBLISHED, newName, newTag }],
    configMapGenerator: [{ name: 'isthmus', namespace: NAMESPACE, behavior: 'merge', literals }],
  };
  writeFileSync(`${folder}/kustomization.yaml`, stringify(kustomization));
  return folder;
}
