// EndpointSlice (discovery.k8s.io/v1) to the model.
import { z } from 'zod';
import { type Family, familyOf } from '../model/address.js';
import { type Backend, type EndpointSlice, portKey } from '../model/service.js';
import { address, metadata, port, protocol, validate } from './schema.js';

const SERVICE_NAME = 'kubernetes.io/service-name';
/** When the pod or Service changed that the slice was written for. */
const TRIGGER = 'endpoints.kubernetes.io/last-change-trigger-time';
/** Slices of headless Services carry it, since no proxy needs them. */
const HEADLESS = 'service.kubernetes.io/headless';

const named = z.array(z.looseObject({ name: z.string() })).nullish();

const endpoint = z.looseObject({
  addresses: z.array(address).min(1),
  conditions: z
    .looseObject({
      ready: z.boolean().nullish(),
      serving: z.boolean().nullish(),
      terminating: z.boolean().nullish(),
    })
    .nullish(),
  nodeName: z.string().nullish(),
  zone: z.string().nullish(),
  hints: z.looseObject({ forZones: named, forNodes: named }).nullish(),
});

const schema = z.looseObject({
  metadata: metadata
    .extend({ annotations: z.looseObject({ [TRIGGER]: z.string().nullish() }).nullish() })
    .refine((value) => value.labels?.[SERVICE_NAME] !== undefined, {
      path: ['labels', SERVICE_NAME],
      error: 'is missing: expected the name of the Service',
    }),
  addressType: z.enum(['IPv4', 'IPv6']),
  endpoints: z.array(endpoint).nullish(),
  ports: z
    .array(z.looseObject({ name: z.string().nullish(), protocol, port: port.or(z.literal(0)).nullish() }))
    .nullish(),
});

/** undefined for a slice of names (FQDN) or of a headless Service. Throws ConvertError. */
export function convertEndpointSlice(object: unknown): EndpointSlice | undefined {
  const { addressType } = validate(z.looseObject({ addressType: z.string() }), object);
  if (addressType === 'FQDN') return undefined;
  const { metadata, endpoints, ports } = validate(schema, object);
  if (metadata.labels?.[HEADLESS] !== undefined) return undefined;
  const targets = (endpoints ?? [])
    .map(convertEndpoint)
    .filter((target) => familyOf(target.address) === addressType.toLowerCase());
  // A port without a number is for other readers; one without a name has the API's default name.
  const backends = (ports ?? []).flatMap(({ name, protocol, port }): [string, Backend[]][] =>
    port ? [[portKey(name ?? '', protocol), targets.map((target) => ({ ...target, port }))]] : [],
  );
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    serviceName: metadata.labels?.[SERVICE_NAME] ?? '',
    ...triggerOf(metadata.annotations?.[TRIGGER], addressType),
    backends: Object.fromEntries(backends),
  };
}

/** What is no time is only a measurement less. */
function triggerOf(text: string | null | undefined, addressType: string) {
  const time = Date.parse(text ?? '');
  if (Number.isNaN(time)) return {};
  const family: Family = addressType === 'IPv6' ? 'ipv6' : 'ipv4';
  return { trigger: { family, time } };
}

/** An endpoint's addresses are alike, and a proxy needs one of them. */
function convertEndpoint({ addresses, conditions, nodeName, zone, hints }: z.infer<typeof endpoint>) {
  const [address = ''] = addresses;
  return {
    address,
    ready: conditions?.ready ?? true,
    serving: conditions?.serving ?? true,
    terminating: conditions?.terminating ?? false,
    nodeName: nodeName ?? '',
    zone: zone ?? '',
    zoneHints: (hints?.forZones ?? []).map(({ name }) => name),
    nodeHints: (hints?.forNodes ?? []).map(({ name }) => name),
  };
}
