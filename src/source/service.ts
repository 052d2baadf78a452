// Service (v1) to the model.
import { z } from 'zod';
import type { IpAddress } from '../model/address.js';
import type { ForwardingMode, LoadBalancing, Service, ServicePort } from '../model/service.js';
import { address, addressOr, cidr, metadata, port, protocol, validate } from './schema.js';

/** The label that gives a Service to another service proxy. */
const OTHER_PROXY = 'service.kubernetes.io/service-proxy-name';
/** The label that says that no proxy is needed. */
const HEADLESS_LABEL = 'service.kubernetes.io/headless';
const LOAD_BALANCING = 'isthmus.dev/load-balancing';
const FORWARDING_MODE = 'isthmus.dev/forwarding-mode';
const FORWARDING_MODES: readonly ForwardingMode[] = ['Translated', 'DirectReturn'];
const HEADLESS = 'None';
const DEFAULT_AFFINITY_SECONDS = 10_800;
const AFFINITY_SECONDS_MAX = 86_400;

const clusterIP = addressOr('', HEADLESS);
const policy = z.enum(['Cluster', 'Local']).nullish();

const schema = z.looseObject({
  metadata: metadata.extend({
    annotations: z
      .looseObject({
        [LOAD_BALANCING]: z.enum(['Random', 'Maglev']).default('Random'),
        [FORWARDING_MODE]: z.string().optional(),
      })
      .nullish(),
  }),
  spec: z.looseObject({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']).default('ClusterIP'),
    clusterIP: clusterIP.optional(),
    clusterIPs: z.array(clusterIP).optional(),
    externalIPs: z.array(address).nullish(),
    internalTrafficPolicy: policy,
    externalTrafficPolicy: policy.or(z.literal('')),
    sessionAffinity: z.enum(['None', 'ClientIP', '']).nullish(),
    sessionAffinityConfig: z
      .looseObject({
        clientIP: z.looseObject({ timeoutSeconds: z.int().min(1).max(AFFINITY_SECONDS_MAX).nullish() }).nullish(),
      })
      .nullish(),
    loadBalancerSourceRanges: z.array(z.string().trim().pipe(cidr)).nullish(),
    /** 0: none. */
    healthCheckNodePort: port.or(z.literal(0)).nullish(),
    ports: z
      .array(
        z.looseObject({
          name: z.string().default(''),
          protocol,
          port,
          /** 0 asks the API server for one. */
          nodePort: port.or(z.literal(0)).optional(),
        }),
      )
      .nullish(),
  }),
  status: z
    .looseObject({
      loadBalancer: z
        .looseObject({
          ingress: z.array(z.looseObject({ ip: addressOr('').optional(), ipMode: z.string().nullish() })).nullish(),
        })
        .nullish(),
    })
    .nullish(),
});

type Manifest = z.infer<typeof schema>;

/** undefined for a Service without frontends of ours: headless, ExternalName, another proxy's. Throws ConvertError. */
export function convertService(object: unknown): Service | undefined {
  const { metadata, spec, status } = validate(schema, object);
  const clusterIPs = new Set(spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]));
  clusterIPs.delete('');
  if (spec.type === 'ExternalName' || clusterIPs.size === 0 || clusterIPs.has(HEADLESS)) return undefined;
  const { labels } = metadata;
  if (labels?.[OTHER_PROXY] !== undefined || labels?.[HEADLESS_LABEL] !== undefined) return undefined;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    clusterIPs: [...clusterIPs],
    ...externalAddresses(spec, status),
    ports: (spec.ports ?? []).map(convertPort),
    internalTrafficPolicy: spec.internalTrafficPolicy ?? 'Cluster',
    externalTrafficPolicy: spec.externalTrafficPolicy || 'Cluster',
    affinityTimeout: affinityTimeout(spec),
    sourceRanges: [...new Set(spec.loadBalancerSourceRanges ?? [])],
    loadBalancing: (metadata.annotations?.[LOAD_BALANCING] ?? 'Random') as LoadBalancing,
    ...forwardingMode(metadata.annotations?.[FORWARDING_MODE]),
    ...healthCheck(spec),
    ...(metadata.creationTimestamp && { created: metadata.creationTimestamp }),
  };
}

/** Another version of the agent may know what this one does not: the Service goes on by the default, and that is told. */
function forwardingMode(text: unknown): Pick<Service, 'forwardingMode' | 'unknownForwardingMode'> {
  if (typeof text !== 'string') return {};
  const known = FORWARDING_MODES.find((mode) => mode === text);
  return known === undefined ? { unknownForwardingMode: text } : { forwardingMode: known };
}

/** A load balancer that may send anywhere needs no health check of its own for the Service. */
function healthCheck({ type, externalTrafficPolicy, healthCheckNodePort }: Manifest['spec']) {
  const needed = type === 'LoadBalancer' && externalTrafficPolicy === 'Local';
  return needed && healthCheckNodePort ? { healthCheckNodePort } : {};
}

/** An address that is both is the load balancer's, which may be restricted. */
function externalAddresses(spec: Manifest['spec'], status: Manifest['status']) {
  const loadBalancerIPs = [...new Set(ingressAddresses(status))];
  const externalIPs = [...new Set(spec.externalIPs ?? [])].filter((ip) => !loadBalancerIPs.includes(ip));
  return { externalIPs, loadBalancerIPs };
}

/** An ingress of mode Proxy is reached at the load balancer itself (KEP-1860), one with only a hostname by its name. */
function ingressAddresses(status: Manifest['status']): IpAddress[] {
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (!ip || ipMode === 'Proxy' ? [] : [ip]));
}

function affinityTimeout({ sessionAffinity, sessionAffinityConfig }: Manifest['spec']): number {
  if (sessionAffinity !== 'ClientIP') return 0;
  return sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
}

function convertPort({ name, protocol, port, nodePort }: NonNullable<Manifest['spec']['ports']>[number]): ServicePort {
  return { name, protocol, port, ...(nodePort && { nodePort }) };
}
