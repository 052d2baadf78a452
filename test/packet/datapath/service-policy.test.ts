// Who gets which backend of a Service, by policy, source and affinity: from manifests to packets.
import { expect, it } from 'vitest';
import { runWalk } from '../../../src/datapath/walk.js';
import type { Service } from '../../../src/model/service.js';
import { icmpAnswer, resetAnswer } from '../../support/answers.js';
import type { Outcome, TestDatapath } from '../../support/datapath.js';
import { aService, aSlice, backends } from '../../support/objects.js';
import type { Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { parseFrame } from '../../support/packet-text.js';
import { programServices } from '../../support/program-services.js';
import { type Addresses, type Device, FAMILIES, from, NODE_PORT } from '../../support/world.js';

const EXTERNAL = { IPv4: '203.0.113.90', IPv6: '2001:db8:e::90' };
const BALANCED = { IPv4: '203.0.113.80', IPv6: '2001:db8:e::80' };
const CLIENT = 40_000;

interface At {
  readonly address: string;
  readonly port: number;
}

type Kind = 'cluster' | 'node' | 'external' | 'balanced';
const KINDS: readonly Kind[] = ['cluster', 'node', 'external', 'balanced'];

interface Context {
  readonly family: 'IPv4' | 'IPv6';
  readonly w: Addresses;
}

const CONTEXTS = FAMILIES.map(([family, w]): Context => ({ family, w }));

function frontend({ family, w }: Context, kind: Kind): At {
  const addresses = { cluster: w.vip, node: w.node, external: EXTERNAL[family], balanced: BALANCED[family] };
  return { address: addresses[kind], port: kind === 'node' ? NODE_PORT : 80 };
}

/** A Service with every kind of frontend. */
function web({ family, w }: Context, fields: Partial<Service> = {}): Service {
  const ports = (['TCP', 'UDP'] as const).map((protocol) => ({
    name: protocol.toLowerCase(),
    protocol,
    port: 80,
    nodePort: NODE_PORT,
  }));
  const addresses = { clusterIPs: [w.vip], externalIPs: [EXTERNAL[family]], loadBalancerIPs: [BALANCED[family]] };
  return aService('web', { ...addresses, ports, ...fields });
}

function endText(address: string): string {
  return address.includes(':') ? `[${address}]:8080` : `${address}:8080`;
}

/** Pods a and b are on this node. */
function slice({ w }: Context, ...names: readonly ('a' | 'b' | 'far')[]) {
  const list = backends(...names.map((name) => `${endText(w[name])}@${name === 'far' ? 'node-2' : 'node-1'}`));
  return [aSlice('web-1', 'web', { tcp: list, 'udp/UDP': list })];
}

interface Ask {
  readonly kind: Kind;
  /** Pod a when it is `a`, and who is outside when it is `uplink`. */
  readonly by: Device;
  readonly protocol?: 'tcp' | 'udp';
  readonly sport?: number;
  readonly source?: string;
}

function request(context: Context, { kind, by, protocol = 'tcp', sport = CLIENT, source }: Ask): Packet {
  const { address, port } = frontend(context, kind);
  const sender = source ?? (by === 'a' ? context.w.a : context.w.remote);
  const ip = from(by).ip({ source: sender, destination: address });
  const ports = { source: sport, destination: port };
  return protocol === 'tcp' ? ip.tcp(ports) : ip.udp(ports).payload('question');
}

describeDatapath({ name: 'service policy', file: import.meta.filename }, (get) => {
  const send = (context: Context, ask: Ask): Outcome => get().run(ask.by, request(context, ask));
  /** Where a request goes: the backend's address. */
  const backendOf = (context: Context, ask: Ask) => {
    const { verdict, bytes } = send(context, ask);
    expect(verdict).toBe('redirect');
    return parseFrame(bytes)?.destination;
  };
  const spread = (context: Context, ask: Ask, count = 40) =>
    new Set(
      Array.from({ length: count }, (_, index) => backendOf(context, { ...ask, sport: (ask.sport ?? CLIENT) + index })),
    );
  const dropped = (context: Context, ask: Ask, reason: string) => {
    const before = (get().drops() as Record<string, number>)[reason] ?? 0;
    expectOutcome(send(context, ask), 'drop', request(context, ask));
    expect(get().drops()).toMatchObject({ [reason]: before + 1 });
  };

  for (const context of CONTEXTS) {
    const { family, w } = context;
    const use = (fields: Partial<Service>, ...names: readonly ('a' | 'b' | 'far')[]) =>
      programServices(get(), { services: [web(context, fields)], slices: slice(context, ...names) });
    const local = { internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' } as const;

    it.each(KINDS)(`K14 ${family}: without any endpoint, %s refuses at once, with every policy`, (kind) => {
      for (const fields of [{}, local]) {
        use(fields);
        for (const by of ['a', 'uplink'] as const) {
          const tcp = request(context, { kind, by });
          expectOutcome(get().run(by, tcp), 'redirect', resetAnswer(by, tcp));
          const udp = request(context, { kind, by, protocol: 'udp' });
          const refusal = icmpAnswer(by, udp, { kind: 'portUnreachable', from: frontend(context, kind).address });
          expectOutcome(get().run(by, udp), 'redirect', refusal);
        }
      }
      expect(get().drops()).toEqual({ DROP_NO_BACKEND: 8 });
      expect(get().flows()).toEqual([]);
    });

    it.each(KINDS)(`K15 K21 ${family}: policy Local without an endpoint here drops what comes to %s`, (kind) => {
      use(local, 'far');
      dropped(context, { kind, by: 'uplink' }, 'DROP_NO_LOCAL_BACKEND');
      dropped(context, { kind, by: 'uplink', protocol: 'udp' }, 'DROP_NO_LOCAL_BACKEND');
      if (kind === 'cluster') dropped(context, { kind, by: 'a' }, 'DROP_NO_LOCAL_BACKEND');
      expect(get().flows()).toEqual([]);
    });

    it.each(['node', 'external', 'balanced'] as const)(
      `K22 K49 ${family}: external policy Local does not bind this node's pods at %s`,
      (kind) => {
        use({ externalTrafficPolicy: 'Local' }, 'far');
        expect(backendOf(context, { kind, by: 'a' })).toBe(w.far);
        dropped(context, { kind, by: 'uplink' }, 'DROP_NO_LOCAL_BACKEND');
      },
    );

    it(`K21 ${family}: each policy binds its own frontends`, () => {
      use({ internalTrafficPolicy: 'Local' }, 'b', 'far');
      expect(spread(context, { kind: 'cluster', by: 'a' })).toEqual(new Set([w.b]));
      expect(spread(context, { kind: 'cluster', by: 'uplink' })).toEqual(new Set([w.b]));
      expect(spread(context, { kind: 'node', by: 'uplink' })).toEqual(new Set([w.b, w.far]));
      get().reset();
      use({ externalTrafficPolicy: 'Local' }, 'b', 'far');
      for (const kind of ['node', 'external', 'balanced'] as const) {
        expect(spread(context, { kind, by: 'uplink' })).toEqual(new Set([w.b]));
        get().reset();
        use({ externalTrafficPolicy: 'Local' }, 'b', 'far');
      }
      expect(spread(context, { kind: 'cluster', by: 'uplink' })).toEqual(new Set([w.b, w.far]));
    });

    it(`K10 ${family}: an external IP that no node has is reached from pods`, () => {
      use({}, 'b');
      expect(backendOf(context, { kind: 'external', by: 'a' })).toBe(w.b);
    });

    it(`K28 K29 ${family}: a client keeps its address towards a backend here, and not towards another node`, () => {
      use({ externalTrafficPolicy: 'Local' }, 'b');
      expect(parseFrame(send(context, { kind: 'balanced', by: 'uplink' }).bytes)?.source).toBe(w.remote);
      use({}, 'far');
      expect(parseFrame(send(context, { kind: 'balanced', by: 'uplink', sport: 5 }).bytes)?.source).toBe(w.node);
    });

    it(`K30 ${family}: a pod that reaches itself is seen by another address`, () => {
      use({}, 'a');
      expect(parseFrame(send(context, { kind: 'cluster', by: 'a' }).bytes)).toMatchObject({
        source: w.node,
        destination: w.a,
      });
    });

    it(`K33 ${family}: a cluster IP that is routed to this node is served`, () => {
      use({}, 'far');
      expect(parseFrame(send(context, { kind: 'cluster', by: 'uplink' }).bytes)).toMatchObject({
        source: w.node,
        destination: w.far,
      });
    });

    it(`K12 ${family}: source ranges bind load balancer addresses only, and pods too`, () => {
      const net = family === 'IPv4' ? '198.51.100.0/24' : '2001:db8:9::/48';
      use({ sourceRanges: [net] }, 'b');
      expect(backendOf(context, { kind: 'balanced', by: 'uplink' })).toBe(w.b);
      dropped(context, { kind: 'balanced', by: 'uplink', source: w.remote2 }, 'DROP_SOURCE_RANGE');
      dropped(context, { kind: 'balanced', by: 'uplink', source: w.remote2, protocol: 'udp' }, 'DROP_SOURCE_RANGE');
      dropped(context, { kind: 'balanced', by: 'a' }, 'DROP_SOURCE_RANGE');
      for (const kind of ['cluster', 'node', 'external'] as const) {
        expect(backendOf(context, { kind, by: 'a', sport: 1 })).toBe(w.b);
        expect(backendOf(context, { kind, by: 'uplink', source: w.remote2, sport: 1 })).toBe(w.b);
      }
    });

    it(`K12 ${family}: what a forbidden source sends later on is not answered either`, () => {
      use({ sourceRanges: [family === 'IPv4' ? '198.51.100.0/24' : '2001:db8:9::/48'] }, 'b');
      const { address, port } = frontend(context, 'balanced');
      const late = from('uplink')
        .ip({ source: w.remote2, destination: address })
        .tcp({ source: 1, destination: port, flags: 'PA', ack: 9 });
      expectOutcome(get().run('uplink', late), 'drop', late);
      expect(get().drops()).toEqual({ DROP_SOURCE_RANGE: 1 });
    });

    it(`K5 ${family}: source ranges of the other family say nothing`, () => {
      use({ sourceRanges: [family === 'IPv4' ? '2001:db8:9::/48' : '198.51.100.0/24'] }, 'b');
      expect(backendOf(context, { kind: 'balanced', by: 'uplink', source: w.remote2 })).toBe(w.b);
    });

    it(`K5 ${family}: several ranges, wide and narrow, are all good`, () => {
      const nets = family === 'IPv4' ? ['203.0.113.7/32', '198.51.0.0/16'] : ['2001:db8:a::7/128', '2001:db8:9::/64'];
      use({ sourceRanges: nets }, 'b');
      for (const source of [w.remote, w.remote2]) {
        expect(backendOf(context, { kind: 'balanced', by: 'uplink', source })).toBe(w.b);
      }
      use({ sourceRanges: ['0.0.0.0/0', '::/0'] }, 'b');
      expect(backendOf(context, { kind: 'balanced', by: 'a' })).toBe(w.b);
    });

    it(`K18 ${family}: every new connection has a choice of its own`, () => {
      use({}, 'a', 'b', 'far');
      expect(spread(context, { kind: 'balanced', by: 'uplink' })).toEqual(new Set([w.a, w.b, w.far]));
    });

    testAffinity(context);
    testMaglev(context);
    testStale(context);
  }

  function testAffinity(context: Context): void {
    const { family, w } = context;
    const sticky = { affinityTimeout: 100 };
    const use = (fields: Partial<Service>, ...names: readonly ('a' | 'b' | 'far')[]) =>
      programServices(get(), { services: [web(context, fields)], slices: slice(context, ...names) });
    const ask: Ask = { kind: 'balanced', by: 'uplink' };
    /** As if so many seconds had passed since the client's last connection. */
    const pass = (datapath: TestDatapath, seconds: number) => {
      for (const [key, value] of [...datapath.maps.affinities.scan()]) {
        datapath.maps.affinities.set(key, { ...value, seen: (value.seen - seconds) >>> 0 });
      }
    };

    it(`K26 ${family}: a client's connections go to one backend, by every frontend`, () => {
      use(sticky, 'a', 'b', 'far');
      const first = backendOf(context, ask);
      for (const kind of KINDS) {
        expect(spread(context, { ...ask, kind }, 10)).toEqual(new Set([first]));
        get().maps.flows.deleteMany([...get().maps.flows.scan()].map(([key]) => key));
      }
      const others = Array.from({ length: 30 }, (_, index) => {
        const source = family === 'IPv4' ? `198.51.100.${index + 20}` : `2001:db8:9::${index + 20}`;
        return backendOf(context, { ...ask, source });
      });
      expect(new Set(others).size).toBeGreaterThan(1);
    });

    it(`K26 ${family}: TCP and UDP ports are remembered apart`, () => {
      use(sticky, 'a', 'b', 'far');
      backendOf(context, ask);
      backendOf(context, { ...ask, protocol: 'udp' });
      expect([...get().maps.affinities.scan()]).toHaveLength(2);
    });

    it(`K26 ${family}: it ends with the timeout, which every new connection begins anew`, () => {
      use(sticky, 'a', 'b', 'far');
      const first = backendOf(context, ask);
      for (let index = 1; index < 5; index++) {
        pass(get(), 95);
        expect(backendOf(context, { ...ask, sport: CLIENT + index })).toBe(first);
      }
      const later = Array.from({ length: 30 }, (_, index) => {
        pass(get(), 100);
        return backendOf(context, { ...ask, sport: index + 1 });
      });
      expect(new Set(later).size).toBeGreaterThan(1);
    });

    it(`K26 ${family}: a packet of an established flow does not prolong it`, () => {
      use(sticky, 'a', 'b');
      send(context, ask);
      pass(get(), 50);
      const [[, before] = []] = [...get().maps.affinities.scan()];
      send(context, ask);
      expect([...get().maps.affinities.scan()].map(([, { seen }]) => seen)).toEqual([before?.seen]);
    });

    it(`K26 ${family}: it outlives a change of the other backends, wherever its own is in the list`, () => {
      use(sticky, 'b');
      expect(backendOf(context, ask)).toBe(w.b);
      use(sticky, 'a', 'b', 'far');
      expect(spread(context, { ...ask, sport: 1 }, 20)).toEqual(new Set([w.b]));
      use({ ...sticky, loadBalancing: 'Maglev' }, 'b', 'far');
      expect(spread(context, { ...ask, kind: 'node', sport: 1 }, 20)).toEqual(new Set([w.b]));
    });

    it(`K26 ${family}: it ends with its backend`, () => {
      use(sticky, 'b');
      backendOf(context, ask);
      use(sticky, 'a');
      expect(backendOf(context, { ...ask, sport: 1 })).toBe(w.a);
      use(sticky, 'a', 'b');
      expect(spread(context, { ...ask, sport: 2 }, 20)).toEqual(new Set([w.a]));
    });

    it(`K26 ${family}: switched on or off, it counts for new connections`, () => {
      use({}, 'a', 'b', 'far');
      expect(spread(context, ask).size).toBe(3);
      use(sticky, 'a', 'b', 'far');
      expect(spread(context, { ...ask, source: w.remote2 }, 20).size).toBe(1);
      use({}, 'a', 'b', 'far');
      expect(spread(context, { ...ask, source: w.remote2, sport: 1 }).size).toBe(3);
    });

    it(`K26 ${family}: policy Local keeps a client from the backend it has by policy Cluster`, () => {
      use({ ...sticky, externalTrafficPolicy: 'Local' }, 'b', 'far');
      for (let index = 0; index < 20; index++) {
        backendOf(context, { kind: 'cluster', by: 'uplink', sport: index + 1 });
        expect(backendOf(context, { ...ask, sport: index + 1 })).toBe(w.b);
      }
    });
  }

  function testMaglev(context: Context): void {
    const { family, w } = context;
    const maglev = { loadBalancing: 'Maglev' } as const;
    const ask: Ask = { kind: 'balanced', by: 'uplink' };
    /** The choices of a node that has other ids and generations. */
    const choices = (others: number, ...names: readonly ('a' | 'b' | 'far')[]) => {
      get().reset();
      const more = Array.from({ length: others }, (_, index) =>
        aService(`other-${index}`, { clusterIPs: [`10.97.0.${index}`] }),
      );
      programServices(get(), { services: more, slices: [] });
      for (let turn = 0; turn < others; turn++) {
        const turns = slice(context, ...(turn % 2 === 0 ? (['a'] as const) : (['b'] as const)));
        programServices(get(), { services: [...more, web(context, maglev)], slices: turns });
      }
      programServices(get(), { services: [...more, web(context, maglev)], slices: slice(context, ...names) });
      return Array.from({ length: 120 }, (_, index) => backendOf(context, { ...ask, sport: index + 1 }));
    };

    it(`Maglev ${family}: every node makes the same choice, and all backends are used`, () => {
      const first = choices(0, 'a', 'b', 'far');
      expect(choices(3, 'a', 'b', 'far')).toEqual(first);
      for (const backend of [w.a, w.b, w.far]) {
        expect(first.filter((one) => one === backend).length).toBeGreaterThan(20);
      }
    });

    it(`Maglev ${family}: connections of the backends that stay keep theirs`, () => {
      const [all, fewer] = [choices(0, 'a', 'b', 'far'), choices(0, 'b', 'far')];
      const moved = all.filter((backend, index) => backend !== w.a && backend !== fewer[index]);
      expect(moved.length).toBeLessThan(6);
    });
  }

  function testStale(context: Context): void {
    const { family, w } = context;
    const services = [web(context)];
    const ask: Ask = { kind: 'node', by: 'uplink', protocol: 'udp' };
    const sweep = async () => {
      await runWalk(get().program('sweep_services'));
    };
    const use = (list: string, protocol = 'udp/UDP') =>
      programServices(get(), { services, slices: [aSlice('s', 'web', { [protocol]: backends(...list.split(' ')) })] });

    it.each(['node', 'external', 'balanced', 'cluster'] as const)(
      `K34 ${family}: a UDP flow of %s to a backend that is gone is removed, and the next datagram has another`,
      async (kind) => {
        use(endText(w.b));
        expect(backendOf(context, { ...ask, kind })).toBe(w.b);
        use(endText(w.a));
        await sweep();
        expect(get().flows()).toEqual([]);
        expect(backendOf(context, { ...ask, kind })).toBe(w.a);
        await sweep();
        expect(get().flows()).toHaveLength(2);
      },
    );

    it(`K34 ${family}: policies, hints and termination are no reason to remove a flow`, async () => {
      use(endText(w.b));
      send(context, ask);
      use(`${endText(w.b)}~ ${endText(w.a)}`);
      await sweep();
      expect(get().flows()).toHaveLength(2);
      expect(backendOf(context, { ...ask, sport: 1 })).toBe(w.a);
    });

    it(`K34 ${family}: one that does not serve any more loses its flows`, async () => {
      use(endText(w.b));
      send(context, ask);
      use(`${endText(w.b)}! ${endText(w.a)}`);
      await sweep();
      expect(get().flows()).toEqual([]);
    });

    it(`K35 ${family}: where nobody serves, flows stay`, async () => {
      use(endText(w.b));
      send(context, ask);
      programServices(get(), { services, slices: [] });
      await sweep();
      expect(get().flows()).toHaveLength(2);
    });

    it(`K25 K36 ${family}: TCP flows go on, and so do those that are no service's`, async () => {
      use(endText(w.b), 'tcp/TCP');
      send(context, { ...ask, protocol: 'tcp' });
      get().run('a', from('a').ip({ source: w.a, destination: w.remote }).udp({ source: 9, destination: 99 }));
      use(endText(w.a), 'tcp/TCP');
      await sweep();
      expect(get().flows()).toHaveLength(4);
      expect(backendOf(context, { ...ask, protocol: 'tcp' })).toBe(w.b);
    });

    it(`K38 ${family}: the walk that removes dead flows finds them too`, async () => {
      use(endText(w.b));
      send(context, ask);
      use(endText(w.a));
      await runWalk(get().program('sweep_flows'));
      expect(get().flows()).toEqual([]);
    });

    it(`K39 ${family}: a new target port counts as a new backend`, async () => {
      use(endText(w.b));
      send(context, ask);
      use(endText(w.b).replace('8080', '9090'));
      await sweep();
      expect(get().flows()).toEqual([]);
    });

    it(`K17 ${family}: flows of other Services never notice`, async () => {
      const other = aService('other', {
        clusterIPs: [family === 'IPv4' ? '10.96.0.77' : 'fd00:96::77'],
        ports: web(context).ports.map(({ nodePort: _, ...port }) => port),
      });
      const both = (list: string) =>
        programServices(get(), {
          services: [...services, other],
          slices: [
            aSlice('s', 'web', { 'udp/UDP': backends(...list.split(' ')) }),
            aSlice('o', 'other', { 'udp/UDP': backends(endText(w.b)) }),
          ],
        });
      both(endText(w.b));
      const entries = () => [...get().maps.services.scan()].filter(([{ address }]) => address === other.clusterIPs[0]);
      const before = entries();
      const ip = from('a').ip({ source: w.a, destination: other.clusterIPs[0] ?? '' });
      get().run('a', ip.udp({ source: 7, destination: 80 }));
      both(endText(w.a));
      await sweep();
      expect(entries()).toEqual(before);
      expect(get().flows()).toHaveLength(2);
    });
  }
});
