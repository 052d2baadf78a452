// Which kinds of objects are read, and which are Kubernetes' own that the datapath has no use for.

export type Kind = 'ClusterNetwork' | 'PodPool' | 'EgressPool' | 'Node' | 'Service' | 'EndpointSlice';

/** The API version that each kind is read in. */
export const API_VERSIONS: Readonly<Record<Kind, string>> = {
  ClusterNetwork: 'isthmus.dev/v1alpha1',
  PodPool: 'isthmus.dev/v1alpha1',
  EgressPool: 'isthmus.dev/v1alpha1',
  Node: 'v1',
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
};

export const CLUSTER_SCOPED: ReadonlySet<string> = new Set(['ClusterNetwork', 'PodPool', 'EgressPool', 'Node']);

/** Manifests of an application come with these; saying so each time would hide what matters. */
const UNUSED_KINDS = `
  Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace PersistentVolume PersistentVolumeClaim Pod
  PodTemplate ReplicationController ResourceQuota Secret ServiceAccount
  ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet CronJob Job HorizontalPodAutoscaler
  PodDisruptionBudget Lease ClusterRole ClusterRoleBinding Role RoleBinding PriorityClass RuntimeClass
  Ingress IngressClass IPAddress ServiceCIDR StorageClass CSIDriver CSINode CSIStorageCapacity VolumeAttachment
  VolumeAttributesClass CustomResourceDefinition APIService MutatingWebhookConfiguration
  ValidatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
  CertificateSigningRequest FlowSchema PriorityLevelConfiguration Kustomization
`;

const unused: ReadonlySet<string> = new Set(UNUSED_KINDS.trim().split(/\s+/));

export function isKind(kind: string): kind is Kind {
  return Object.hasOwn(API_VERSIONS, kind);
}

export function isUnusedKind(kind: string): boolean {
  return unused.has(kind);
}
