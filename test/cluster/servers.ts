// Servers for the tests of cluster life: Deployments that say who asks, and single pods with whatever a spec may have.
import { stringify } from 'yaml';
import { TOOLS_IMAGE } from './images.js';

export interface ServersOptions {
  readonly name: string;
  readonly namespace?: string;
  readonly replicas: number;
  /** Behind a Service: ready when it answers, and serving for a while after it was told to end. */
  readonly graceful?: boolean;
}

export const SERVER_PORT = 8080;

const SERVE = ['/isthmus-probe', 'serve', '--port', String(SERVER_PORT)];
/** Seconds until everybody knows that a pod is leaving. */
const LEAVING = 3;

/** A Deployment of servers, evenly over the nodes. */
export function serversManifest({ name, namespace = 'default', replicas, graceful = false }: ServersOptions): string {
  const labels = { app: name };
  const spread = { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' };
  const polite = {
    readinessProbe: { tcpSocket: { port: SERVER_PORT }, periodSeconds: 1 },
    lifecycle: { preStop: { sleep: { seconds: LEAVING } } },
  };
  const container = { name: 'server', image: TOOLS_IMAGE, command: SERVE, ...(graceful ? polite : {}) };
  return stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas,
      strategy: { rollingUpdate: { maxSurge: '100%' } },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: graceful ? LEAVING + 1 : 1,
          topologySpreadConstraints: [{ ...spread, labelSelector: { matchLabels: labels } }],
          containers: [container],
        },
      },
    },
  });
}

/** One server on a node; `spec` and `ports` are whatever else the pod has. */
export function serverManifest(name: string, node: string, more: { spec?: object; container?: object } = {}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'server', image: TOOLS_IMAGE, command: SERVE, ...more.container }],
      ...more.spec,
    },
  });
}

/** A dual-stack Service of all pods with the label `app: NAME`, with the same node port for TCP and UDP when there is one. */
export function serviceManifest(name: string, more: { nodePort?: number; spec?: object } = {}): string {
  const { nodePort, spec } = more;
  const ports = ['TCP', 'UDP'].map((protocol) => ({
    name: protocol.toLowerCase(),
    protocol,
    port: 80,
    targetPort: SERVER_PORT,
    ...(nodePort === undefined ? {} : { nodePort }),
  }));
  return stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: {
      type: nodePort === undefined ? 'ClusterIP' : 'NodePort',
      ipFamilyPolicy: 'RequireDualStack',
      selector: { app: name },
      ports,
      ...spec,
    },
  });
}
