// An API server of generated objects, in a process of its own: `node api-main.js PODS SERVICES NODES`. Prints its URL,
// then answers each line of stdin, a number of events a second and of seconds, with its end.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { network, node, pod, type Size, service, slice } from './objects.js';

const [pods = 0, services = 0, nodes = 0] = process.argv.slice(2).map(Number);
const size: Size = { pods, services, nodes };

interface Collection {
  readonly kind: string;
  readonly apiVersion: string;
  readonly count: number;
  readonly make: (index: number) => object;
}

const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const own = { apiVersion: 'isthmus.dev/v1alpha1', make: network };
const COLLECTIONS: Readonly<Record<string, Collection>> = {
  '/apis/isthmus.dev/v1alpha1/clusternetworks': { ...own, kind: 'ClusterNetwork', count: 1 },
  '/apis/isthmus.dev/v1alpha1/egresspools': { ...own, kind: 'EgressPool', count: 0 },
  '/apis/isthmus.dev/v1alpha1/podpools': { ...own, kind: 'PodPool', count: 0 },
  '/api/v1/nodes': { kind: 'Node', apiVersion: 'v1', count: nodes, make: node },
  '/api/v1/services': { kind: 'Service', apiVersion: 'v1', count: services, make: service },
  '/api/v1/pods': { kind: 'Pod', apiVersion: 'v1', count: pods, make: (index) => pod(index, nodes) },
  [SLICES]: {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    count: services,
    make: (index) => slice(index, size),
  },
};

let version = 1_000_000;
const watches = new Set<ServerResponse>();

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '', 'http://localhost');
  const collection = COLLECTIONS[url.pathname];
  if (collection === undefined) response.writeHead(404).end('{}');
  else if (url.searchParams.has('watch')) watch(url.pathname, response);
  else response.end(JSON.stringify(page(collection, url)));
});

function page({ kind, apiVersion, count, make }: Collection, url: URL): object {
  const from = Number(url.searchParams.get('continue') ?? 0);
  const to = Math.min(count, from + Number(url.searchParams.get('limit')));
  const metadata = { resourceVersion: String(version), ...(to < count && { continue: String(to) }) };
  return {
    kind: `${kind}List`,
    apiVersion,
    metadata,
    items: Array.from({ length: to - from }, (_, i) => make(from + i)),
  };
}

function watch(path: string, response: ServerResponse): void {
  response.writeHead(200);
  response.flushHeaders();
  if (path === SLICES) watches.add(response);
}

function change(index: number): void {
  const changed = slice(index % services, size, Date.now()) as { metadata: object };
  const metadata = { ...changed.metadata, resourceVersion: String(++version) };
  const object = { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', ...changed, metadata };
  for (const response of watches) response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
}

await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
let index = 0;
for await (const line of createInterface(process.stdin)) {
  const [rate = 0, seconds = 0] = line.split(' ').map(Number);
  const began = performance.now();
  for (let sent = 0; sent < rate * seconds; sent++) {
    await sleep(Math.max(0, began + (sent * 1000) / rate - performance.now()));
    change(index++ * 7);
  }
  console.log('sent');
}
process.exit();
