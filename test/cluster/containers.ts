// Containers of a node, as its containerd and its process table know them.
import { captureOn } from './machine.js';
import type { ClusterNode } from './plan.js';

export interface Sandbox {
  readonly id: string;
  /** By the machine's own process numbers; empty when it does not run. */
  readonly pid: string;
}

/** The newest sandbox of a pod, as its node's containerd knows it. */
export async function sandboxOf(node: ClusterNode, pod: string): Promise<Sandbox> {
  const ctr = ['ctr', '--namespace', 'k8s.io'];
  const filter = `labels."io.kubernetes.pod.name"==${pod},labels."io.cri-containerd.kind"==sandbox`;
  const ids = (await captureOn(node, [...ctr, 'containers', 'list', '--quiet', filter])).stdout.trim().split('\n');
  const tasks = (await captureOn(node, [...ctr, 'tasks', 'list'])).stdout.split('\n').map((line) => line.split(/\s+/));
  const running = tasks.find(([id = '', , status]) => ids.includes(id) && status === 'RUNNING');
  return { id: running?.[0] ?? '', pid: running?.[1] ?? '' };
}

/** Of the agent, by the machine's own process numbers; empty when none runs. */
export async function agentPid(node: ClusterNode): Promise<string> {
  const { stdout } = await captureOn(node, ['pgrep', '--full', '/opt/isthmus/build/src/cli/main.js agent']);
  return stdout.trim().split('\n')[0] ?? '';
}
