// Where the API server keeps the kinds that are read.
import { API_VERSIONS, type Kind } from '../kinds.js';

export interface Resource {
  readonly kind: Kind;
  /** Of the collection, in all namespaces. */
  readonly path: string;
  readonly labelSelector?: string;
  /** Its definition comes with us, and may be installed later than the agent. */
  readonly custom: boolean;
}

const PLURALS: Readonly<Record<Kind, string>> = {
  ClusterNetwork: 'clusternetworks',
  PodPool: 'podpools',
  EgressPool: 'egresspools',
  Node: 'nodes',
  Service: 'services',
  EndpointSlice: 'endpointslices',
};

/** What no proxy, or another one, is to serve does not even cross the wire; a label that changes is an event. */
const OURS = '!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name';
const SELECTORS: Readonly<Partial<Record<Kind, string>>> = { Service: OURS, EndpointSlice: OURS };

export const RESOURCES: readonly Resource[] = (Object.keys(PLURALS) as Kind[]).map((kind) => {
  const apiVersion = API_VERSIONS[kind];
  const root = apiVersion.includes('/') ? 'apis' : 'api';
  const labelSelector = SELECTORS[kind];
  return {
    kind,
    path: `/${root}/${apiVersion}/${PLURALS[kind]}`,
    ...(labelSelector === undefined ? {} : { labelSelector }),
    custom: apiVersion.startsWith('isthmus.dev/'),
  };
});
