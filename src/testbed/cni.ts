// Wires pods as a container runtime does: it runs the CNI plugin and reads its result.
import { capture } from './command.js';
import { TestbedError } from './error.js';
import { CNI_PATH, CNI_PLUGIN } from './files.js';
import type { AddressPair, TestNode, TestPod } from './node.js';
import { socketOf } from './node-agent.js';

const NETWORK = { cniVersion: '1.1.0', name: 'isthmus', type: 'isthmus-cni' };

interface CniResult {
  readonly ips?: readonly { readonly address: string }[];
}

/** CNI ADD. Returns the addresses that the pod got. Throws TestbedError with the plugin's own error. */
export async function addPod(pod: TestPod, node: TestNode): Promise<AddressPair> {
  const result = await runPlugin('ADD', pod, node);
  const addresses = (result.ips ?? []).map((ip) => ip.address.split('/')[0] ?? '');
  const ipv4 = addresses.find((address) => !address.includes(':'));
  const ipv6 = addresses.find((address) => address.includes(':'));
  if (ipv4 === undefined || ipv6 === undefined) {
    throw new TestbedError(
      `CNI ADD for ${pod.id} gave [${addresses.join(', ')}]: one address of each family was expected`,
    );
  }
  return { ipv4, ipv6 };
}

/** CNI DEL. */
export async function deletePod(pod: TestPod, node: TestNode): Promise<void> {
  await runPlugin('DEL', pod, node);
}

async function runPlugin(command: 'ADD' | 'DEL', pod: TestPod, node: TestNode): Promise<CniResult> {
  const uid = `00000000-0000-4000-8000-${Buffer.from(pod.containerID).toString('hex').slice(-12)}`;
  const env = {
    PATH: process.env.PATH,
    CNI_COMMAND: command,
    CNI_CONTAINERID: pod.containerID,
    CNI_NETNS: `/run/netns/${pod.netns}`,
    CNI_IFNAME: 'eth0',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name};K8S_POD_UID=${uid}`,
    CNI_PATH,
    ISTHMUS_SOCKET: socketOf(node),
  };
  const { status, stdout, stderr } = await capture([CNI_PLUGIN], { env, input: JSON.stringify(NETWORK) });
  if (status === 0) return stdout.trim() === '' ? {} : (JSON.parse(stdout) as CniResult);
  throw new TestbedError(`CNI ${command} for ${pod.id} on ${node.name} failed: ${stdout.trim() || stderr.trim()}`);
}
