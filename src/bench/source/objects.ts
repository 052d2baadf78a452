// Objects as a real cluster has them, with all that nobody here needs: most of an object's bytes.
export interface Size {
  readonly pods: number;
  readonly services: number;
  readonly nodes: number;
}

const APP = { name: 'f:app', manager: 'kube-controller-manager', operation: 'Update', fieldsType: 'FieldsV1' };

/** The network, as our own kind says it. */
export function network(): object {
  const spec = { clusterID: 'bench', ipv4: { mode: 'Island', podCIDRs: ['10.128.0.0/9'] } };
  return { apiVersion: 'isthmus.dev/v1alpha1', kind: 'ClusterNetwork', metadata: metadata('default', 1), spec };
}

export function node(index: number): object {
  return {
    metadata: { ...metadata(`node-${index}`, index), labels: { 'kubernetes.io/hostname': `node-${index}` } },
    spec: { podCIDRs: [`10.${128 + (index >> 8)}.${index & 255}.0/24`] },
    status: {
      addresses: [{ type: 'InternalIP', address: `192.168.${index >> 8}.${index & 255}` }],
      conditions: Array.from({ length: 5 }, (_, each) => ({
        type: `Condition${each}`,
        status: 'False',
        message: filler(90),
      })),
      images: Array.from({ length: 30 }, (_, each) => ({ names: [`registry.example/image-${each}@${filler(64)}`] })),
    },
  };
}

export function service(index: number): object {
  return {
    metadata: {
      ...metadata(`service-${index}`, index),
      namespace: namespaceOf(index),
      labels: { app: `app-${index}` },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: clusterIP(index),
      clusterIPs: [clusterIP(index)],
      selector: { app: `app-${index}` },
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, targetPort: 8080 },
        { name: 'metrics', protocol: 'TCP', port: 9090, targetPort: 9090 },
      ],
    },
    status: { loadBalancer: {} },
  };
}

/** The pods of a Service; `time`: when the last of them changed, milliseconds of the epoch. */
export function slice(index: number, { pods, services, nodes }: Size, time = 0): object {
  const own = Array.from({ length: Math.ceil((pods - index) / services) }, (_, each) => index + each * services);
  const change = time === 0 ? {} : { 'endpoints.kubernetes.io/last-change-trigger-time': new Date(time).toISOString() };
  return {
    metadata: {
      ...metadata(`service-${index}-abcde`, index),
      namespace: namespaceOf(index),
      annotations: change,
      labels: { 'kubernetes.io/service-name': `service-${index}`, app: `app-${index}` },
    },
    addressType: 'IPv4',
    endpoints: own.map((pod) => ({
      addresses: [podIP(pod)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: `node-${pod % nodes}`,
      targetRef: { kind: 'Pod', name: `pod-${pod}`, namespace: namespaceOf(index), uid: filler(36) },
      zone: 'zone-a',
    })),
    ports: [
      // Each end turns the ports about, so that an event is a change.
      { name: 'http', protocol: 'TCP', port: 8080 + (time % 2) },
      { name: 'metrics', protocol: 'TCP', port: 9090 },
    ],
  };
}

/** About 6 KB, as pods of controllers are. */
export function pod(index: number, nodes: number): object {
  const container = (name: string) => ({
    name,
    image: `registry.example/${name}@sha256:${filler(64)}`,
    env: Array.from({ length: 12 }, (_, each) => ({ name: `VARIABLE_${each}`, value: filler(40) })),
    volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
  });
  return {
    metadata: { ...metadata(`pod-${index}`, index), namespace: namespaceOf(index), labels: { app: `app-${index}` } },
    spec: { nodeName: `node-${index % nodes}`, containers: [container('main'), container('sidecar')] },
    status: {
      phase: 'Running',
      podIP: podIP(index),
      podIPs: [{ ip: podIP(index) }],
      conditions: Array.from({ length: 5 }, (_, each) => ({
        type: `Condition${each}`,
        status: 'True',
        message: filler(60),
      })),
    },
  };
}

function metadata(name: string, index: number) {
  return {
    name,
    uid: `00000000-0000-0000-0000-${String(index).padStart(12, '0')}`,
    resourceVersion: String(1000 + index),
    creationTimestamp: '2026-01-01T00:00:00Z',
    managedFields: [
      { ...APP, fieldsV1: { 'f:metadata': filler(300), 'f:spec': filler(300), 'f:status': filler(300) } },
    ],
  };
}

function namespaceOf(index: number): string {
  return `team-${index % 50}`;
}

function clusterIP(index: number): string {
  return `10.96.${index >> 8}.${index & 255}`;
}

/** In the pod CIDRs, whichever node's. */
function podIP(index: number): string {
  return `10.${192 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

function filler(length: number): string {
  return 'x'.repeat(length);
}
