// A node of the cluster: containerd and a kubelet on a machine, with images and no network plugin.
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { STARTUP_TAINT } from '../../src/model/node.js';
import { until } from '../../src/testbed/command.js';
import { TestbedError } from '../../src/testbed/error.js';
import type { ControlPlane } from './control-plane.js';
import { serverOf } from './control-plane.js';
import { PAUSE_IMAGE } from './images.js';
import { captureOn, logTail, runOn, startDaemon } from './machine.js';
import type { ClusterNode } from './plan.js';
import { DNS_DOMAIN, DNS_SERVICE } from './plan.js';

const CONTAINERD = '/run/containerd/containerd.sock';
/** Of the Debian package containernetworking-plugins. */
export const LOOPBACK = '/usr/lib/cni/loopback';
const UNUSED_PLUGINS = ['btrfs', 'zfs', 'aufs', 'devmapper'].map((name) => `snapshotter.v1.${name}`);
const READY_MS = 20_000;

/** Starts containerd and waits until it answers. */
export async function startContainerd(node: ClusterNode): Promise<void> {
  // containerd wants it for every pod, whatever the network is.
  await runOn(node, ['install', '-D', '--target-directory=/opt/cni/bin', LOOPBACK]);
  const config = `${node.directory}/containerd.toml`;
  writeFileSync(config, containerdConfig());
  startDaemon(node, 'containerd', ['containerd', '--config', config]);
  const answers = async (): Promise<boolean> => (await captureOn(node, ['ctr', 'version'])).status === 0;
  if (await until(answers, READY_MS)) return;
  throw new TestbedError(`containerd of ${node.name} did not answer; ${logTail(node, 'containerd')}`);
}

/** Gives the node's containerd the images of an archive. */
export async function importImages(node: ClusterNode, archives: readonly string[]): Promise<void> {
  for (const archive of archives) {
    await runOn(node, ['ctr', '--namespace', 'k8s.io', 'images', 'import', archive], { timeout: 120_000 });
  }
}

/** Starts the kubelet, which registers the node. */
export async function startKubelet(node: ClusterNode, plane: ControlPlane): Promise<void> {
  const { certificates, programs } = plane;
  const name = `kubelet-${node.name}`;
  const addresses = [node.addresses.ipv4, node.addresses.ipv6];
  const names = [`DNS:${node.name}`, ...addresses.map((address) => `IP:${address}`)];
  await certificates.issue({ name, user: `system:node:${node.name}`, groups: ['system:nodes'], names });
  const config = `${node.directory}/kubelet.yaml`;
  writeFileSync(config, stringify(kubeletConfig(plane, name)));
  const labels = { 'topology.kubernetes.io/zone': node.zone, 'topology.kubernetes.io/region': 'region-1' };
  const flags = {
    config,
    kubeconfig: certificates.writeKubeconfig(name, serverOf(plane.machine)),
    'hostname-override': node.name,
    'node-ip': addresses.join(','),
    'node-labels': Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
  };
  const argv = Object.entries(flags).map(([key, value]) => `--${key}=${value}`);
  startDaemon(node, 'kubelet', [`${programs}/kubelet`, ...argv]);
}

/** Without CAP_SYS_RESOURCE no oom score can be lowered. */
function containerdConfig(): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [${UNUSED_PLUGINS.map((name) => JSON.stringify(`io.containerd.${name}`)).join(', ')}]
[grpc]
  address = "${CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`;
}

function kubeletConfig({ certificates }: ControlPlane, name: string): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: certificates.certificate('ca') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificates.certificate(name),
    tlsPrivateKeyFile: certificates.key(name),
    containerRuntimeEndpoint: `unix://${CONTAINERD}`,
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    oomScoreAdj: 0,
    clusterDomain: DNS_DOMAIN,
    clusterDNS: [DNS_SERVICE],
    resolvConf: '/etc/resolv.conf',
    registerWithTaints: [{ key: STARTUP_TAINT, effect: 'NoSchedule' }],
    // The machine's disk is shared: how full it is must not evict pods.
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '0%', 'imagefs.available': '0%' },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    shutdownGracePeriod: '0s',
  };
}
