// Service (v1) to the model.
import { z } from 'zod';
import type { Service, ServicePort } from '../model/service.js';
import { address, addressOr, metadata, port, protocol, validate } from './schema.js';

/** The label that gives a Service to another service proxy. */
const OTHER_PROXY = 'service.kubernetes.io/service-proxy-name';
const HEADLESS = 'None';

const clusterIP = addressOr('', HEADLESS);

const schema = z.looseObject({
  metadata,
  spec: z.looseObject({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']).default('ClusterIP'),
    clusterIP: clusterIP.optional(),
    clusterIPs: z.array(clusterIP).optional(),
    externalIPs: z.array(address).nullish(),
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
          ingress: z.array(z.looseObject({ ip: address.optional(), ipMode: z.string().optional() })).nullish(),
        })
        .nullish(),
    })
    .nullish(),
});

type Manifest = z.infer<typeof schema>;

/** undefined for a Service without frontends of ours: headless, ExternalName, another proxy's. Throws ConvertError. */
export function convertService(object: unknown): Service | undefined {
  const { metadata, spec, status } = validate(schema, object);
  const clusterIPs = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  if (spec.type === 'ExternalName' || clusterIPs.includes(HEADLESS)) return undefined;
  if (metadata.labels?.[OTHER_PROXY] !== undefined) return undefined;
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    clusterIPs: [...new Set(clusterIPs.filter((text) => text !== ''))],
    externalAddresses: [...new Set([...ingressAddresses(status), ...(spec.externalIPs ?? [])])],
    ports: (spec.ports ?? []).map(convertPort),
  };
}

/** An ingress of mode Proxy is reached at the load balancer itself (KEP-1860), one with only a hostname by its name. */
function ingressAddresses(status: Manifest['status']): string[] {
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) =>
    ip === undefined || ipMode === 'Proxy' ? [] : [ip],
  );
}

function convertPort({ name, protocol, port, nodePort }: NonNullable<Manifest['spec']['ports']>[number]): ServicePort {
  return { name, protocol, port, ...(nodePort && { nodePort }) };
}
