// What runs in the cluster for the tests: a web server in twenty pods, a name service, and pods that send.
import { stringify } from 'yaml';
import { TOOLS_IMAGE } from './images.js';
import { DNS_DOMAIN, DNS_SERVICE } from './plan.js';

type Manifest = Readonly<Record<string, unknown>>;

export const WEB = { name: 'web', replicas: 20, port: 80, targetPort: 8080, nodePort: 30080 } as const;

const SERVE = ['/isthmus-probe', 'serve', '--port', String(WEB.targetPort)];

/** A Deployment of servers that say who asks, spread over the nodes, and a Service of both families. */
export function webManifests(): string {
  const labels = { app: WEB.name };
  const spread = { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'DoNotSchedule' };
  const readinessProbe = { tcpSocket: { port: WEB.targetPort }, periodSeconds: 1 };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: WEB.name },
    spec: {
      replicas: WEB.replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 1,
          topologySpreadConstraints: [{ ...spread, labelSelector: { matchLabels: labels } }],
          containers: [{ name: 'web', image: TOOLS_IMAGE, command: SERVE, readinessProbe }],
        },
      },
    },
  };
  const ports = ['TCP', 'UDP'].map((protocol) => ({
    name: protocol.toLowerCase(),
    protocol,
    port: WEB.port,
    targetPort: WEB.targetPort,
    nodePort: WEB.nodePort,
  }));
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: WEB.name },
    spec: { type: 'NodePort', ipFamilyPolicy: 'RequireDualStack', selector: labels, ports },
  };
  return documents([deployment, service]);
}

/** A pod that runs the probe once; its report is its log. */
export function senderManifest(name: string, node: string, argv: readonly string[]): string {
  return documents([
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app: 'sender' } },
      spec: {
        nodeName: node,
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'sender', image: TOOLS_IMAGE, command: ['/isthmus-probe', ...argv] }],
      },
    },
  ]);
}

/** CoreDNS with a Service at the address that kubelets tell pods. It finds the API server by the Service `kubernetes`. */
export function dnsManifests(): string {
  const metadata = { name: 'coredns', namespace: 'kube-system' };
  const labels = { 'k8s-app': 'kube-dns' };
  const corefile = `.:53 {
  errors
  health :8080
  ready :8181
  kubernetes ${DNS_DOMAIN} in-addr.arpa ip6.arpa
  cache 5
}
`;
  const readinessProbe = { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 };
  const volumeMounts = [{ name: 'config', mountPath: '/etc/coredns' }];
  const container = { name: 'coredns', image: TOOLS_IMAGE, command: ['/coredns', '-conf', '/etc/coredns/Corefile'] };
  return documents([
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    ...readerManifests(metadata),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: corefile } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: 'coredns',
            terminationGracePeriodSeconds: 1,
            containers: [{ ...container, readinessProbe, volumeMounts }],
            volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: 'kube-system' },
      spec: {
        clusterIP: DNS_SERVICE,
        selector: labels,
        ports: ['UDP', 'TCP'].map((protocol) => ({ name: `dns-${protocol.toLowerCase()}`, protocol, port: 53 })),
      },
    },
  ]);
}

function readerManifests(account: { readonly name: string; readonly namespace: string }): Manifest[] {
  const reads = (apiGroup: string, resources: readonly string[]): Manifest => ({
    apiGroups: [apiGroup],
    resources,
    verbs: ['list', 'watch'],
  });
  const rules = [reads('', ['services', 'pods', 'namespaces']), reads('discovery.k8s.io', ['endpointslices'])];
  const group = 'rbac.authorization.k8s.io';
  const role = { apiVersion: `${group}/v1`, kind: 'ClusterRole', metadata: { name: 'coredns' }, rules };
  const binding = {
    apiVersion: `${group}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'coredns' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'coredns' },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  };
  return [role, binding];
}

function documents(manifests: readonly Manifest[]): string {
  return manifests.map((manifest) => stringify(manifest)).join('---\n');
}
