// EndpointSlice (discovery.k8s.io/v1) to the model.
import { z } from 'zod';
import { familyOf, type IpAddress } from '../model/address.js';
import type { Backend, EndpointSlice } from '../model/service.js';
import { address, metadata, port, validate } from './schema.js';

const SERVICE_NAME = 'kubernetes.io/service-name';
/** Slices of headless Services carry it, since no proxy needs them. */
const HEADLESS = 'service.kubernetes.io/headless';

const schema = z
  .looseObject({
    metadata: metadata.refine((value) => value.labels?.[SERVICE_NAME] !== undefined, {
      path: ['labels', SERVICE_NAME],
      error: 'is missing: expected the name of the Service',
    }),
    addressType: z.enum(['IPv4', 'IPv6']),
    endpoints: z
      .array(
        z.looseObject({
          addresses: z.array(address).min(1),
          conditions: z.looseObject({ ready: z.boolean().nullish() }).nullish(),
        }),
      )
      .nullish(),
    ports: z.array(z.looseObject({ name: z.string().nullish(), port: port.nullish() })).nullish(),
  })
  .superRefine(({ addressType, endpoints }, context) => {
    for (const [index, { addresses }] of (endpoints ?? []).entries()) {
      const wrong = addresses.findIndex((text) => familyOf(text) !== addressType.toLowerCase());
      if (wrong < 0) continue;
      const message = `${addresses[wrong]} is not an address of addressType ${addressType}`;
      context.addIssue({ code: 'custom', path: ['endpoints', index, 'addresses', wrong], message });
    }
  });

/** undefined for a slice of names (FQDN) or of a headless Service. Throws ConvertError. */
export function convertEndpointSlice(object: unknown): EndpointSlice | undefined {
  const { addressType } = validate(z.looseObject({ addressType: z.string() }), object);
  if (addressType === 'FQDN') return undefined;
  const { metadata, endpoints, ports } = validate(schema, object);
  if (metadata.labels?.[HEADLESS] !== undefined) return undefined;
  // An endpoint's addresses are alike and a proxy needs one of them; a port without number is for other readers.
  const targets = (endpoints ?? []).map(({ addresses: [first = ''], conditions }) => ({
    address: first as IpAddress,
    ready: conditions?.ready ?? true,
  }));
  const backends = (ports ?? []).flatMap(({ name, port }): [string, Backend[]][] =>
    port == null ? [] : [[name ?? '', targets.map((target) => ({ ...target, port }))]],
  );
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    serviceName: metadata.labels?.[SERVICE_NAME] ?? '',
    backends: Object.fromEntries(backends),
  };
}
