// What runs in a cluster, in which versions: the first line that a test of it prints.
import { run } from '../../src/testbed/command.js';
import type { ControlPlane } from './control-plane.js';
import type { Kubectl } from './kubectl.js';

/** Such as `Kubernetes v1.35.8, containerd://1.6.20, …`; asks the first node. */
export async function describeVersions({ programs }: ControlPlane, kubectl: Kubectl): Promise<string> {
  const { kubeletVersion, containerRuntimeVersion, kernelVersion } = JSON.parse(
    await kubectl.run('get', 'node', 'n1', '-o', 'jsonpath={.status.nodeInfo}'),
  ) as Record<string, string>;
  const [etcd, dns, runc] = await Promise.all([
    firstLine([`${programs}/etcd`, '--version']),
    firstLine([`${programs}/coredns`, '-version']),
    firstLine(['runc', '--version']),
  ]);
  const node = `Node.js ${process.version}`;
  return [
    `Kubernetes ${kubeletVersion}`,
    containerRuntimeVersion,
    runc,
    etcd,
    dns,
    node,
    `Linux ${kernelVersion}`,
  ].join(', ');
}

async function firstLine(argv: readonly string[]): Promise<string> {
  return (
    (await run(argv))
      .trim()
      .split('\n')[0]
      ?.replace(/ [Vv]ersion:?/, '') ?? ''
  );
}
