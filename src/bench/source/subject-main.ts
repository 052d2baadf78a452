// An agent's part from the API server to what goes into the maps: `node subject-main.js URL pods|none SECONDS`. Prints
// what it needed, as one line of JSON.
import { setTimeout as sleep } from 'node:timers/promises';
import { limitHeap } from '../../agent/heap.js';
import { compile, type Desired } from '../../datapath/compile.js';
import { ApiClient } from '../../kubernetes/api-client.js';
import { Reflector } from '../../kubernetes/reflector.js';
import type { EndpointSlice } from '../../model/service.js';
import type { Snapshot } from '../../model/snapshot.js';
import type { VersionedMap } from '../../model/versioned-map.js';
import { KubernetesSource } from '../../source/kubernetes/kubernetes.js';

export interface SubjectAnswer {
  /** From the first request to the compiled whole, milliseconds. */
  readonly synced: number;
  /** Of the process, with everything an agent loads: most, and after a while, bytes. */
  readonly peakRss: number;
  readonly rss: number;
  /** From the event's being sent to its being compiled, milliseconds. */
  readonly latencies: readonly number[];
}

const [url = '', watchesPods, seconds = '0'] = process.argv.slice(2);
limitHeap();
// The agent's own modules take memory too.
await import('../../agent/main.js');
const connection = { server: new URL(url), namespace: undefined, authorize: async () => ({}), renew: () => undefined };
const client = new ApiClient({ connection });
const note = ({ error }: { error: Error }): void => console.error(error.message);

let desired: Desired | undefined;
const latencies: number[] = [];

function take(snapshot: Snapshot): void {
  const before = desired?.snapshot.slices;
  desired = compile({
    snapshot,
    nodeName: 'node-0',
    endpoints: [],
    serviceIds: new Map(),
    have: { services: new Map(), backends: new Map() },
    previous: desired,
  });
  const now = Date.now();
  if (before === undefined) return;
  const names = (snapshot.slices as VersionedMap<string, EndpointSlice>).changedSince(before) ?? [];
  for (const name of names) {
    const trigger = snapshot.slices.get(name)?.trigger;
    if (trigger !== undefined) latencies.push(now - trigger.time);
  }
}

const began = performance.now();
const source = new KubernetesSource({ client, onTrouble: note, onAbsent: (kind) => console.error(`no ${kind}`) });
const pods = watchesPods === 'pods' ? followPods() : Promise.resolve();
await source.start(take);
await pods;
const synced = performance.now() - began;
console.log('synced');
await sleep(Number(seconds) * 1000);
const { rss } = process.memoryUsage();
const peakRss = process.resourceUsage().maxRSS * 1024;
const answer: SubjectAnswer = { synced, peakRss, rss, latencies };
console.log(JSON.stringify(answer));
process.exit();

/** What a part of the agent would keep of pods that has to know them all. */
function followPods(): Promise<void> {
  const kept = new Map<string, object>();
  const { promise, resolve } = Promise.withResolvers<void>();
  new Reflector({
    client,
    path: '/api/v1/pods',
    collection: {
      project: ({ metadata, spec, status }) => {
        const { namespace, name, labels } = metadata as { namespace: string; name: string; labels: object };
        const { nodeName } = spec as { nodeName: string };
        const { podIPs } = status as { podIPs: readonly { ip: string }[] };
        return { key: `${namespace}/${name}`, labels, nodeName, addresses: podIPs.map(({ ip }) => ip) };
      },
      replace: (objects) => {
        for (const object of objects) kept.set(object.key, object);
        resolve();
      },
      put: (object) => kept.set(object.key, object),
      remove: ({ key }) => kept.delete(key),
      reached: () => undefined,
      absent: () => console.error('no pods'),
    },
    onTrouble: note,
  }).start();
  return promise;
}
