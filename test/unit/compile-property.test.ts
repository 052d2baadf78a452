// However the state came about, the maps end up the same: random histories against one compile from nothing.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compile, type Desired } from '../../src/datapath/compile.js';
import { Reconciler } from '../../src/datapath/reconcile.js';
import { listIds } from '../../src/datapath/services.js';
import { checkSnapshot } from '../../src/model/check.js';
import type { EndpointSlice } from '../../src/model/service.js';
import type { Snapshot } from '../../src/model/snapshot.js';
import { VersionedMap } from '../../src/model/versioned-map.js';
import { aBackend, aNetwork, aNode, anEndpoint, aService, aSlice, aSnapshot } from '../support/objects.js';
import { plainDirect, plainFrontends, plainHostPorts } from '../support/plain-services.js';
import { recordingMaps } from '../support/recording-map.js';
import { desiredTables, directLines, resolveFrontends, tableLines } from '../support/tables.js';

/** Few names and addresses, so that events meet: the same object twice, a service without slices, a taken address. */
const name = fc.constantFrom('api', 'web', 'db');
const policy = fc.constantFrom('Cluster' as const, 'Local' as const);
const service = fc
  .record({
    name,
    clusterIPs: fc.uniqueArray(fc.constantFrom('10.96.0.1', '10.96.0.2', 'fd00:96::1'), { maxLength: 2 }),
    externalIPs: fc.uniqueArray(fc.constantFrom('192.0.2.1', '2001:db8:5::1'), { maxLength: 1 }),
    loadBalancerIPs: fc.uniqueArray(fc.constantFrom('192.0.2.7', '2001:db8:5::7'), { maxLength: 1 }),
    ports: fc.uniqueArray(
      fc
        .record({
          name: fc.constantFrom('http', 'dns'),
          protocol: fc.constantFrom('TCP' as const, 'UDP' as const),
          port: fc.constantFrom(80, 53),
          nodePort: fc.constantFrom(30080, 30053, 0),
        })
        .map(({ nodePort, ...port }) => (nodePort === 0 ? port : { ...port, nodePort })),
      { maxLength: 2, selector: (port) => port.name },
    ),
    internalTrafficPolicy: policy,
    externalTrafficPolicy: policy,
    affinityTimeout: fc.constantFrom(0, 60),
    sourceRanges: fc.subarray(['203.0.113.0/24', '2001:db8:9::/48']),
    loadBalancing: fc.constantFrom('Random' as const, 'Random' as const, 'Random' as const, 'Maglev' as const),
    forwardingMode: fc.constantFrom('Translated' as const, 'DirectReturn' as const),
  })
  .map(({ name, ...fields }) => ({ kind: 'service' as const, object: aService(name, fields) }));
const backend = fc
  .record({
    address: fc.constantFrom('10.244.1.2', '10.244.2.2', '10.244.2.3', 'fd00:1:1:2::2'),
    port: fc.constantFrom(8080, 9090),
    ready: fc.boolean(),
    serving: fc.boolean(),
    terminating: fc.boolean(),
    nodeName: fc.constantFrom('node-1', 'node-2', ''),
    zoneHints: fc.subarray(['a', 'b']),
    nodeHints: fc.subarray(['node-1', 'node-2']),
  })
  .map(aBackend);
const portNames = fc.constantFrom('http/TCP', 'dns/UDP', 'dns/TCP');
const ports = fc.dictionary(portNames, fc.array(backend, { maxLength: 4 }));
const slice = fc
  .tuple(fc.constantFrom('s1', 's2', 's3'), name, ports)
  .map((fields) => ({ kind: 'slice' as const, object: aSlice(...fields) }));
const node = fc
  .record({
    number: fc.constantFrom(1, 2, 3),
    podCIDRs: fc.constantFrom(['10.244.2.0/24'], ['10.244.3.0/25', 'fd00:1:1:3::/64'], []),
    zone: fc.constantFrom('a', 'b'),
  })
  .map(({ number, ...fields }) => ({ kind: 'node' as const, object: aNode(number, fields) }));
/** Ports of a pod's own, and some that Services want too. */
const HOST_PORTS = { c1: [7001, 30_080], c2: [7002, 30_053] } as const;
const ADDRESSES = { c1: '10.244.1.2', c2: 'fd00:1:1:1::9' } as const;
const pod = fc
  .record({
    containerID: fc.constantFrom('c1' as const, 'c2' as const),
    block: fc.constantFrom(1, 2),
    ifindex: fc.constantFrom(7, 8),
    exposed: fc.subarray([0, 1] as const),
    containerPort: fc.constantFrom(80, 81),
  })
  .map(({ exposed, containerPort, ...fields }) => {
    const { containerID } = fields;
    const hostPorts = exposed.map((index) => ({
      protocol: 'TCP' as const,
      hostPort: HOST_PORTS[containerID][index],
      containerPort,
      hostIP: '',
    }));
    const own = { hostPorts, hostInterface: `ist-${containerID}`, addresses: [ADDRESSES[containerID]] };
    return { kind: 'pod' as const, object: anEndpoint({ ...fields, ...own }) };
  });
const change = fc.oneof(service, slice, node, pod);
const event = fc.record({ change, remove: fc.boolean() });
/** What happens between two snapshots, and whether the agent is started anew before it sees the second. */
const step = fc.record({ events: fc.array(event, { minLength: 1, maxLength: 4 }), restart: fc.boolean() });
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

/** The state after some events. */
class World {
  readonly #objects = new Map<string, Change>();
  readonly #remembers: boolean;
  #slices = new VersionedMap<string, EndpointSlice>(new Map());

  /** A source that remembers can tell which slices have changed; of another one's that has to be found out. */
  constructor(remembers = false) {
    this.#remembers = remembers;
  }

  apply({ change, remove }: { change: Change; remove: boolean }): void {
    const key = `${change.kind} ${change.kind === 'pod' ? change.object.containerID : change.object.name}`;
    if (remove) this.#objects.delete(key);
    else this.#objects.set(key, change);
  }

  #ofKind<K extends Change['kind']>(kind: K) {
    const changes = [...this.#objects.values()].filter((change) => change.kind === kind);
    return changes.map(({ object }) => object as Extract<Change, { kind: K }>['object']);
  }

  get endpoints() {
    return this.#ofKind('pod');
  }

  get snapshot(): Snapshot {
    const nodes = [aNode(1), ...this.#ofKind('node')];
    const objects = { network: NETWORK, nodes, services: this.#ofKind('service'), slices: this.#ofKind('slice') };
    const snapshot = checkSnapshot(aSnapshot(objects));
    if (!this.#remembers) return snapshot;
    const gone = [...this.#slices.keys()].filter((key) => !snapshot.slices.has(key));
    const others = [...snapshot.slices].filter(([key, slice]) => this.#slices.get(key) !== slice);
    this.#slices = this.#slices.with([...gone.map((key): [string, undefined] => [key, undefined]), ...others]);
    return { ...snapshot, slices: this.#slices };
  }
}

const NETWORK = aNetwork({ serviceCIDRs: ['10.96.0.0/16'] });

/** An agent on maps that outlive it. */
class Agent {
  /** What frontends led to after each write of the last apply. */
  readonly seen = new Set<string>();
  readonly maps = recordingMaps((write) => {
    if (/^(services|backends) /.test(write)) for (const line of this.meaning.frontends) this.seen.add(line);
  });
  #reconciler = new Reconciler(this.maps);
  #desired: Desired | undefined;

  async restart(): Promise<void> {
    this.#reconciler = new Reconciler(this.maps);
    this.#desired = undefined;
    await this.#reconciler.adopt();
  }

  async apply({ snapshot, endpoints }: World) {
    const { have, applied } = this.#reconciler;
    const serviceIds = this.#desired === undefined ? new Map() : listIds(this.#desired.services);
    const previous = applied === this.#desired?.services ? this.#desired : undefined;
    this.#desired = compile({ snapshot, endpoints, nodeName: 'node-1', serviceIds, have, previous });
    this.seen.clear();
    return this.#reconciler.reconcile(this.#desired);
  }

  /** What the maps mean, without ids and generations, and how many entries they hold. */
  get meaning() {
    const { endpoints, routes, services, backends, maglev, source_ranges, serving, direct_backends } = this.maps;
    const frontends = resolveFrontends({ services: services.contents, backends: backends.contents });
    const sizes = [services, backends, maglev, source_ranges, serving].map(({ contents }) => contents.size);
    const direct = directLines(direct_backends.contents);
    return { endpoints: tableLines(endpoints.contents), routes: tableLines(routes.contents), frontends, direct, sizes };
  }
}

test('a history of changes and restarts leaves what one compile from nothing would', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), fc.boolean(), async (steps, remembers) => {
      const [world, agent] = [new World(remembers), new Agent()];
      for (const { events, restart } of steps) {
        for (const event of events) world.apply(event);
        if (restart) await agent.restart();
        const before = agent.meaning;
        expect(await agent.apply(world)).toMatchObject({ failures: [], postponed: [] });
        const fresh = new Agent();
        await fresh.apply(world);
        expect(agent.meaning).toEqual(fresh.meaning);
        const plain = [...plainFrontends(world.snapshot, 'node-1'), ...plainHostPorts(world, 'node-1')];
        expect(agent.meaning.frontends).toEqual(plain.sort());
        expect(agent.meaning.direct).toEqual(plainDirect(world.snapshot, 'node-1'));
        // On the way a frontend leads to what it led to before or will lead to after, never to a mixture.
        expect([...before.frontends, ...agent.meaning.frontends]).toEqual(expect.arrayContaining([...agent.seen]));
      }
      expect(await agent.apply(world)).toEqual({
        written: 0,
        removed: 0,
        failures: [],
        postponed: [],
        retired: 0,
        enlisted: 0,
      });
    }),
    { numRuns: 120 },
  );
});

test('the order in which objects are listed does not matter', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), (events) => {
      const world = new World();
      for (const event of events) world.apply(event);
      const { snapshot, endpoints } = world;
      const reversed = <T>(map: ReadonlyMap<string, T>) => new Map([...map].reverse());
      const services = reversed(snapshot.services);
      const other = { ...snapshot, services, slices: reversed(snapshot.slices), nodes: reversed(snapshot.nodes) };
      const base = {
        endpoints,
        nodeName: 'node-1',
        serviceIds: new Map(),
        have: { services: new Map(), backends: new Map() },
      };
      const lines = (snapshot: Snapshot) => {
        const tables = desiredTables(compile({ ...base, snapshot }));
        return Object.values(tables).map((table) => tableLines<unknown, unknown>(table));
      };
      expect(lines(other)).toEqual(lines(snapshot));
    }),
  );
});
