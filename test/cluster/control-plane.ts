// etcd, the API server, the controller manager and the scheduler, on a machine of their own.
import { mkdirSync } from 'node:fs';
import { capture, until } from '../../src/testbed/command.js';
import { TestbedError } from '../../src/testbed/error.js';
import type { Certificates } from './certificates.js';
import { killDaemon, logTail, startDaemon } from './machine.js';
import type { Machine } from './plan.js';
import { API_PORT, API_SERVICE, POD_CIDRS, SERVICE_CIDRS } from './plan.js';

export interface ControlPlane {
  readonly machine: Machine;
  readonly certificates: Certificates;
  /** Folder of the programs. */
  readonly programs: string;
}

const READY_MS = 60_000;
const ETCD_PORT = 2379;
const ETCD = `http://127.0.0.1:${ETCD_PORT}`;
const API_SERVER = 'kube-apiserver';

/** Where everybody reaches the API server. */
export function serverOf({ addresses }: Machine): string {
  return `https://${addresses.ipv4}:${API_PORT}`;
}

/** Flags of kubectl for the API server of a machine, whatever names its certificate has. */
export function atServer(machine: Machine): string[] {
  return [`--server=${serverOf(machine)}`, '--tls-server-name=localhost'];
}

/** Issues what the components need, and starts them; returns when the API server is ready. */
export async function startControlPlane(plane: ControlPlane): Promise<void> {
  await issueCertificates(plane);
  startEtcd(plane);
  startApiServer(plane);
  startManagers(plane);
  await waitForApiServer(plane);
}

export function startEtcd({ machine, programs }: ControlPlane): void {
  const urls = {
    'listen-client-urls': `${ETCD},${etcdOf(machine)}`,
    'advertise-client-urls': ETCD,
    'listen-peer-urls': 'http://127.0.0.1:2380',
  };
  // What it holds ends with the cluster: nothing has to survive a power failure.
  const flags = { 'data-dir': '/var/lib/etcd', 'unsafe-no-fsync': 'true', 'log-level': 'warn', ...urls };
  startDaemon(machine, 'etcd', [`${programs}/etcd`, ...flagLines(flags)]);
}

/** On the control plane's machine, or one more on another: that is not announced as a backend of the Service `kubernetes`. */
export function startApiServer(plane: ControlPlane, machine: Machine = plane.machine): void {
  const { programs, certificates } = plane;
  const flags = {
    'etcd-servers': etcdOf(plane.machine),
    'advertise-address': machine.addresses.ipv4,
    'endpoint-reconciler-type': machine === plane.machine ? 'lease' : 'none',
    'secure-port': String(API_PORT),
    'service-cluster-ip-range': `${SERVICE_CIDRS.ipv4},${SERVICE_CIDRS.ipv6}`,
    'client-ca-file': certificates.certificate('ca'),
    'tls-cert-file': certificates.certificate('apiserver'),
    'tls-private-key-file': certificates.key('apiserver'),
    'kubelet-certificate-authority': certificates.certificate('ca'),
    'kubelet-client-certificate': certificates.certificate('apiserver-kubelet'),
    'kubelet-preferred-address-types': 'InternalIP',
    'kubelet-client-key': certificates.key('apiserver-kubelet'),
    'service-account-key-file': `${certificates.directory}/service-accounts.pub`,
    'service-account-signing-key-file': certificates.key('service-accounts'),
    'service-account-issuer': 'https://kubernetes.default.svc',
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'allow-privileged': 'true',
    'shutdown-delay-duration': '0s',
  };
  startDaemon(machine, API_SERVER, [`${programs}/kube-apiserver`, ...flagLines(flags)]);
}

/** Ends the API server; nodes and pods are on their own. */
export async function killApiServer(plane: ControlPlane, machine: Machine = plane.machine): Promise<void> {
  await killDaemon(machine, API_SERVER);
}

export async function killEtcd({ machine }: ControlPlane): Promise<void> {
  await killDaemon(machine, 'etcd');
}

/** Throws TestbedError with the end of its log. */
export async function waitForApiServer(plane: ControlPlane, machine: Machine = plane.machine): Promise<void> {
  const { programs, certificates } = plane;
  const argv = [
    `${programs}/kubectl`,
    `--kubeconfig=${certificates.directory}/admin.kubeconfig`,
    ...atServer(machine),
    'get',
    '--raw=/readyz',
  ];
  const ready = async (): Promise<boolean> =>
    (await capture(argv, { netns: machine.netns, timeout: 5000 })).stdout === 'ok';
  if (await until(ready, READY_MS)) return;
  throw new TestbedError(`the API server was not ready within ${READY_MS / 1000} s; ${logTail(machine, API_SERVER)}`);
}

function startManagers({ machine, programs, certificates }: ControlPlane): void {
  const config = (name: string): string => certificates.writeKubeconfig(name, serverOf(machine));
  const manager = {
    kubeconfig: config('kube-controller-manager'),
    'leader-elect': 'false',
    'allocate-node-cidrs': 'true',
    'cluster-cidr': `${POD_CIDRS.ipv4},${POD_CIDRS.ipv6}`,
    'service-cluster-ip-range': `${SERVICE_CIDRS.ipv4},${SERVICE_CIDRS.ipv6}`,
    'root-ca-file': certificates.certificate('ca'),
    'service-account-private-key-file': certificates.key('service-accounts'),
    'use-service-account-credentials': 'true',
    'kube-api-qps': '100',
    'kube-api-burst': '200',
  };
  const scheduler = { kubeconfig: config('kube-scheduler'), 'leader-elect': 'false' };
  startDaemon(machine, 'kube-controller-manager', [`${programs}/kube-controller-manager`, ...flagLines(manager)]);
  startDaemon(machine, 'kube-scheduler', [`${programs}/kube-scheduler`, ...flagLines(scheduler)]);
}

/** For API servers of all machines. */
function etcdOf({ addresses }: Machine): string {
  return `http://${addresses.ipv4}:${ETCD_PORT}`;
}

async function issueCertificates({ machine, certificates }: ControlPlane): Promise<void> {
  mkdirSync(certificates.directory, { recursive: true });
  await certificates.create();
  const addresses = [machine.addresses.ipv4, machine.addresses.ipv6, API_SERVICE, '127.0.0.1'];
  const dns = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'localhost'];
  const names = [...dns.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)];
  const managers = ['kube-controller-manager', 'kube-scheduler'];
  await Promise.all([
    certificates.issue({ name: 'apiserver', user: 'kube-apiserver', names }),
    certificates.issue({ name: 'apiserver-kubelet', user: 'kube-apiserver-kubelet', groups: ['system:masters'] }),
    certificates.issue({ name: 'admin', user: 'admin', groups: ['system:masters'] }),
    ...managers.map((name) => certificates.issue({ name, user: `system:${name}` })),
  ]);
  certificates.writeKubeconfig('admin', serverOf(machine));
}

function flagLines(flags: Readonly<Record<string, string>>): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}
