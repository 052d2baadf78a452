// One API object to the model, whatever its kind. Pure.
import type { EgressPool } from '../model/egress-pool.js';
import type { ClusterNetwork } from '../model/network.js';
import type { Node } from '../model/node.js';
import type { PodPool } from '../model/pod-pool.js';
import type { EndpointSlice, Service } from '../model/service.js';
import { convertClusterNetwork } from './cluster-network.js';
import { convertEgressPool } from './egress-pool.js';
import { convertEndpointSlice } from './endpoint-slice.js';
import { API_VERSIONS, CLUSTER_SCOPED, isKind, isUnusedKind } from './kinds.js';
import { convertNode } from './node.js';
import { convertPodPool } from './pod-pool.js';
import { ConvertError } from './schema.js';
import { convertService } from './service.js';

/** An object of the model with its kind and its key in the snapshot. */
export type Converted = { readonly key: string } & (
  | { readonly kind: 'ClusterNetwork'; readonly object: ClusterNetwork }
  | { readonly kind: 'PodPool'; readonly object: PodPool }
  | { readonly kind: 'EgressPool'; readonly object: EgressPool }
  | { readonly kind: 'Node'; readonly object: Node }
  | { readonly kind: 'Service'; readonly object: Service }
  | { readonly kind: 'EndpointSlice'; readonly object: EndpointSlice }
);

/** undefined for an object that the datapath has no use for. Throws ConvertError. */
export function convert(object: unknown): Converted | undefined {
  const { kind, apiVersion } = header(object);
  if (kind === undefined) throw new ConvertError('kind: is missing', ['kind']);
  if (isUnusedKind(kind)) return undefined;
  if (!isKind(kind)) throw new ConvertError(`kind: ${kind} is not a kind that is known here`, ['kind']);
  if (apiVersion !== API_VERSIONS[kind]) {
    const reason = `apiVersion: ${kind} is read in ${API_VERSIONS[kind]}, not in ${apiVersion ?? 'none'}`;
    throw new ConvertError(reason, ['apiVersion']);
  }
  return convertKind(kind, object);
}

/** Key of an object in the snapshot, `namespace/name` or `name`; undefined when it does not say its name. */
export function identify(object: unknown): { kind: string; key: string } | undefined {
  const { kind, metadata } = header(object);
  const name = text(metadata, 'name');
  if (kind === undefined || !name) return undefined;
  return { kind, key: CLUSTER_SCOPED.has(kind) ? name : `${text(metadata, 'namespace') || 'default'}/${name}` };
}

function convertKind(kind: Converted['kind'], object: unknown): Converted | undefined {
  const key = identify(object)?.key ?? '';
  if (kind === 'ClusterNetwork') return { kind, key, object: convertClusterNetwork(object) };
  if (kind === 'PodPool') return { kind, key, object: convertPodPool(object) };
  if (kind === 'EgressPool') return { kind, key, object: convertEgressPool(object) };
  if (kind === 'Node') return { kind, key, object: convertNode(object) };
  if (kind === 'Service') {
    const service = convertService(object);
    return service && { kind, key, object: service };
  }
  const slice = convertEndpointSlice(object);
  return slice && { kind, key, object: slice };
}

function header(object: unknown) {
  return { kind: text(object, 'kind'), apiVersion: text(object, 'apiVersion'), metadata: field(object, 'metadata') };
}

function text(object: unknown, name: string): string | undefined {
  const value = field(object, name);
  return typeof value === 'string' ? value : undefined;
}

function field(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null
    ? Object.entries(object).find(([key]) => key === name)?.[1]
    : undefined;
}
