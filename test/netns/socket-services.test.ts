// Services at the socket: real programs in pods and on the node, whose packets have the backend's address from the start.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SOCKET_HOOKS } from '../../src/datapath/cgroup-hooks.js';
import { DROP_REASON, type HitCounter, type HitKey } from '../../src/datapath/types.gen.js';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { NODE } from '../support/node-world.js';
import { readEntries } from '../support/pinned.js';
import { type EndpointSpec, serviceObject, sliceObjects } from '../support/service-manifests.js';
import { type Answer, type SocketEnd, SocketProgram, sawOf } from '../support/socket-program.js';

const SERVER_PORT = 7000;
const PORT = 80;
const NODE_PORT = 30080;
const PORTS = { port: PORT, targetPort: SERVER_PORT };
const WEB = { ipv4: '10.96.0.10', ipv6: 'fd00:96::10' };
const VIP = { ipv4: '203.0.113.10', ipv6: '2001:db8:cb::10' };
const SELF = { ipv4: '10.96.0.11', ipv6: 'fd00:96::11' };
const STICKY = { ipv4: '10.96.0.13', ipv6: 'fd00:96::13' };
const LOCAL = { ipv4: '10.96.0.14', ipv6: 'fd00:96::14' };
const RANGED = { ipv4: '10.96.0.15', ipv6: 'fd00:96::15' };
const RANGED_VIP = { ipv4: '203.0.113.15', ipv6: '2001:db8:cb::15' };
const EMPTY = { ipv4: '10.96.0.12', ipv6: 'fd00:96::12' };
/** Services with one backend each, in turn a and b. */
const MANY = Array.from({ length: 60 }, (_, index) => `10.96.1.${index + 1}`);
const mapped = (address: string) => `::ffff:${address}`;

let node: AgentNode;
let pods: Record<string, { ipv4: string; ipv6: string }>;
let programs: Record<string, SocketProgram>;

const at = (address: string, port = PORT): SocketEnd => ({ address, port });
const bothOf = (...names: string[]): EndpointSpec[] =>
  names.flatMap((name) => Object.values(pods[name] ?? {}).map((address) => ({ address })));

/** What clients in both places see, and what the servers see. */
function program(place: string): SocketProgram {
  const found = programs[place];
  if (found === undefined) throw new Error(`no program in ${place}`);
  return found;
}

beforeAll(async () => {
  node = await AgentNode.open();
  node.writeManifests({ serviceCIDRs: ['10.96.0.0/16', 'fd00:96::/112'] });
  node.write(
    'services.yaml',
    serviceObject({
      name: 'web',
      clusterIPs: Object.values(WEB),
      vips: Object.values(VIP),
      port: PORT,
      targetPort: SERVER_PORT,
      nodePort: NODE_PORT,
    }),
    serviceObject({ ...PORTS, name: 'self', clusterIPs: Object.values(SELF) }),
    serviceObject({
      ...PORTS,
      name: 'sticky',
      clusterIPs: Object.values(STICKY),
      more: { sessionAffinity: 'ClientIP' },
    }),
    serviceObject({
      ...PORTS,
      name: 'local',
      clusterIPs: Object.values(LOCAL),
      more: { internalTrafficPolicy: 'Local' },
    }),
    serviceObject({
      ...PORTS,
      name: 'ranged',
      clusterIPs: Object.values(RANGED),
      vips: Object.values(RANGED_VIP),
      more: { loadBalancerSourceRanges: ['10.244.0.0/16', 'fd00:244::/32'] },
    }),
    ...MANY.map((ip, index) => serviceObject({ ...PORTS, name: `many${index}`, clusterIPs: [ip] })),
    serviceObject({ ...PORTS, name: 'empty', clusterIPs: Object.values(EMPTY) }),
  );
  await node.startAgent();
  pods = {};
  programs = { node: new SocketProgram(node, 'node') };
  for (const name of ['client', 'a', 'b']) {
    pods[name] = await node.addPod(name);
    programs[name] = new SocketProgram(node, name);
  }
  for (const name of ['client', 'a', 'b']) await program(name).ask({ do: 'serve', name, port: SERVER_PORT });
  node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf('a')));
  node.write(
    'many.yaml',
    ...MANY.flatMap((_, index) => {
      const { ipv4 = '' } = pods[index % 2 === 0 ? 'a' : 'b'] ?? {};
      return sliceObjects(`many${index}`, SERVER_PORT, [{ address: ipv4 }]);
    }),
  );
  node.write('sticky.yaml', ...sliceObjects('sticky', SERVER_PORT, bothOf('a', 'b')));
  const elsewhere = bothOf('b').map((endpoint) => ({ ...endpoint, nodeName: 'n2' }));
  node.write('local.yaml', ...sliceObjects('local', SERVER_PORT, elsewhere));
  node.write('ranged.yaml', ...sliceObjects('ranged', SERVER_PORT, bothOf('a')));
  node.write('self.yaml', ...sliceObjects('self', SERVER_PORT, bothOf('client')));
  const answers = async (address: string) => (await program('client').who(at(address))).error === undefined;
  await until(async () => (await answers(WEB.ipv6)) && (await answers(SELF.ipv6)), 5000);
});

afterAll(async () => {
  for (const one of Object.values(programs ?? {})) await one[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
});

async function whoByDatagram(from: string, to: SocketEnd, connected: boolean): Promise<Answer> {
  const on = program(from);
  const id = on.id();
  await on.ask({ do: 'open', id, type: to.address.includes(':') ? 'udp6' : 'udp4' });
  const named = connected ? await on.ask({ do: 'connectDatagram', id, ...to }) : {};
  const answer = named.error === undefined ? await on.exchange(id, connected ? {} : to) : named;
  await on.ask({ do: 'close', id });
  return answer;
}

const FRONTENDS = [
  ['cluster IP', at(WEB.ipv4)],
  ['cluster IP', at(WEB.ipv6)],
  ['cluster IP, IPv4 in an IPv6 socket', at(mapped(WEB.ipv4))],
  ['external address', at(VIP.ipv4)],
  ['external address', at(VIP.ipv6)],
  ['NodePort', at(NODE.ipv4, NODE_PORT)],
  ['NodePort', at(NODE.ipv6, NODE_PORT)],
] as const;

describe.each(['client', 'node'])('from %s', (from) => {
  const sourceOf = (to: SocketEnd) => {
    const family = to.address.includes('.') ? 'ipv4' : 'ipv6';
    return from === 'node' ? NODE[family] : pods[from]?.[family];
  };

  test.each(FRONTENDS)(
    'K8 K31 K48: TCP to a %s %o reaches the backend untranslated, and is shown the frontend',
    async (_, to) => {
      const answer = await program(from).who(to);
      expect(answer).toMatchObject({ peer: to });
      expect(sawOf(answer)).toMatchObject({ server: 'a', client: { address: sourceOf(to) } });
      expect(node.flows()).toEqual([]);
    },
  );

  test.each(FRONTENDS)('K8 K31 K48: UDP to a %s %o, connected and not', async (_, to) => {
    for (const connected of [true, false]) {
      const answer = await whoByDatagram(from, to, connected);
      expect(answer).toMatchObject({ peer: to });
      expect(sawOf(answer)).toMatchObject({ server: 'a', client: { address: sourceOf(to) } });
    }
    expect(node.flows()).toEqual([]);
  });

  test.each([at(EMPTY.ipv4), at(EMPTY.ipv6)])('a service without backends refuses at once: %o', async (to) => {
    const started = performance.now();
    expect(await program(from).who(to)).toEqual({ error: 'ECONNREFUSED' });
    expect(await whoByDatagram(from, to, true)).toEqual({ error: 'ECONNREFUSED' });
    expect(await whoByDatagram(from, to, false)).toEqual({ error: 'ECONNREFUSED' });
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

const SOCKET_LINKS = Object.keys(SOCKET_HOOKS);

describe('what is on the wire', () => {
  test.each(['ipv4', 'ipv6'] as const)(
    'K27: has the addresses of pod and backend, and no frontend: %s',
    async (family) => {
      const filter = `tcp port ${SERVER_PORT} or tcp port ${PORT} or host ${WEB[family]}`;
      let captured = '';
      const capturing = node
        .exec('client', ['tcpdump', '-n', '-l', '-i', 'eth0', '-c', '12', filter])
        .then(({ stdout }) => {
          captured = stdout;
        });
      // tcpdump ends by itself when it has seen enough.
      await until(async () => {
        await program('client').who(at(WEB[family]));
        return captured !== '';
      }, 10_000);
      await capturing;
      const pairs = captured
        .trim()
        .split('\n')
        .map((line) => line.replace(/^.* IP6? (\S+)\.(\d+) > (\S+)\.(\d+): .*$/, '$1 $3'));
      const [own, backend] = [pods.client?.[family], pods.a?.[family]];
      expect(new Set(pairs)).toEqual(new Set([`${own} ${backend}`, `${backend} ${own}`]));
      expect(node.flows()).toEqual([]);
    },
  );
});

describe('a pod and its own service', () => {
  test.each([at(SELF.ipv4), at(SELF.ipv6)])('K8: TCP and UDP: %o', async (to) => {
    const answer = await program('client').who(to);
    expect(sawOf(answer).server).toBe('client');
    expect(sawOf(await whoByDatagram('client', to, true)).server).toBe('client');
    expect(sawOf(await whoByDatagram('client', to, false)).server).toBe('client');
    expect(node.flows()).toEqual([]);
  });
});

describe('NodePort at 127.0.0.1', () => {
  const to = at('127.0.0.1', NODE_PORT);

  test('is for processes of the node', async () => {
    const answer = await program('node').who(to);
    expect(answer).toMatchObject({ peer: to });
    expect(sawOf(answer).server).toBe('a');
    expect(await program('node').who(at('::1', NODE_PORT))).toEqual({ error: 'ECONNREFUSED' });
  });

  test('is not for pods, whose loopback is their own', async () => {
    expect(await program('client').who(to)).toEqual({ error: 'ECONNREFUSED' });
  });
});

describe.each(['ipv4', 'ipv6'] as const)('policies at the socket, %s', (family) => {
  test.each(['client', 'node'])('K26: affinity keeps a backend for %s, over both ways to ask', async (from) => {
    const servers = new Set<string>();
    for (let count = 0; count < 16; count++) servers.add(sawOf(await program(from).who(at(STICKY[family]))).server);
    expect(servers.size).toBe(1);
    for (let count = 0; count < 16; count++) {
      servers.add(`UDP ${sawOf(await whoByDatagram(from, at(STICKY[family]), count % 2 === 0)).server}`);
    }
    expect(servers.size).toBe(2);
  });

  test('K15: policy Local with backends elsewhere only: silence for a pod, EPERM for the node', async () => {
    const before = node.drops(DROP_REASON.DROP_NO_LOCAL_BACKEND);
    const report = await node.probe('client', 'tcp', LOCAL[family], String(PORT), 'who', '--timeout', '400');
    expect(report).toMatchObject({ ok: false, error: 'ETIMEDOUT' });
    expect(node.drops(DROP_REASON.DROP_NO_LOCAL_BACKEND)).toBeGreaterThan(before);
    expect(await program('node').who(at(LOCAL[family]))).toEqual({ error: 'EPERM' });
  });

  test('K12: source ranges are looked at by packets for a pod, at the socket for the node', async () => {
    expect(sawOf(await program('client').who(at(RANGED_VIP[family]))).client.address).toBe(NODE[family]);
    expect(await program('node').who(at(RANGED_VIP[family]))).toEqual({ error: 'EPERM' });
    expect(sawOf(await program('node').who(at(RANGED[family]))).server).toBe('a');
    expect(sawOf(await program('client').who(at(RANGED[family]))).client.address).toBe(pods.client?.[family]);
  });

  test('K16: other ports of a cluster IP refuse the node too, and what no service has is dropped', async () => {
    expect(await program('node').who(at(WEB[family], 81))).toEqual({ error: 'ECONNREFUSED' });
    expect(await program('client').who(at(WEB[family], 81))).toEqual({ error: 'ECONNREFUSED' });
    const nobody = family === 'ipv4' ? '10.96.0.200' : 'fd00:96::200';
    expect(await program('node').who(at(nobody))).toEqual({ error: 'EPERM' });
  });
});

describe('hits', () => {
  /** Connections by backend of the service `web`. */
  async function hits(): Promise<Record<string, number>> {
    const services = (await node.status())?.state.services ?? [];
    const ids = new Set(services.filter(({ name }) => name === 'web').map(({ id }) => id));
    const mine = readEntries<HitKey, readonly HitCounter[]>(node.bpffs, 'hits').filter(([key]) =>
      ids.has(key.service_id),
    );
    const sum = (counters: readonly HitCounter[]) => counters.reduce((all, one) => all + Number(one.connections), 0);
    const counts: Record<string, number> = {};
    for (const [{ address }, counters] of mine) counts[address] = (counts[address] ?? 0) + sum(counters);
    return counts;
  }

  test.each(['client', 'node'])(
    'count a connection once, and a UDP socket once for all its datagrams: %s',
    async (from) => {
      const backend = pods.a?.ipv4 ?? '';
      const before = (await hits())[backend] ?? 0;
      expect(sawOf(await program(from).who(at(WEB.ipv4))).server).toBe('a');
      expect((await hits())[backend]).toBe(before + 1);
      for (const connected of [true, false]) {
        const on = program(from);
        const id = on.id();
        await on.ask({ do: 'open', id, type: 'udp4' });
        if (connected) await on.ask({ do: 'connectDatagram', id, ...at(WEB.ipv4) });
        for (let count = 0; count < 5; count++) {
          expect(sawOf(await on.exchange(id, connected ? {} : at(WEB.ipv4))).server).toBe('a');
        }
        await on.ask({ do: 'close', id });
      }
      expect((await hits())[backend]).toBe(before + 3);
    },
  );

  test('of a backend that is gone go too', async () => {
    expect(Object.keys(await hits())).toContain(pods.a?.ipv4);
    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf('b')));
    expect(await until(async () => !((pods.a?.ipv4 ?? '') in (await hits())), 5000)).toBe(true);
    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf('a')));
    const back = async () => sawOf(await program('client').who(at(WEB.ipv4))).server === 'a';
    expect(await until(back, 5000)).toBe(true);
  });
});

describe('one UDP socket', () => {
  test('speaks to many services at once, and each answers by its own frontend', async () => {
    const on = program('client');
    const id = on.id();
    await on.ask({ do: 'open', id, type: 'udp4' });
    await Promise.all(MANY.map((address) => on.ask({ do: 'send', id, ...at(address) })));
    const answers = new Map<string, string>();
    for (const _ of MANY) {
      const answer = await on.ask({ do: 'receive', id, milliseconds: 2000 });
      answers.set(answer.peer?.address ?? 'none', sawOf(answer).server);
    }
    // Those that share a backend with another one are told apart by packets.
    expect(answers).toEqual(new Map(MANY.map((address, index) => [address, index % 2 === 0 ? 'a' : 'b'])));
    await on.ask({ do: 'close', id });
  });

  test('tells services with one backend apart also when it speaks to them in turn', async () => {
    const on = program('client');
    const id = on.id();
    await on.ask({ do: 'open', id, type: 'udp4' });
    for (const address of [MANY[0], MANY[2], MANY[0], MANY[4], MANY[2], MANY[4], MANY[0]]) {
      expect(await on.exchange(id, at(address ?? ''))).toMatchObject({ peer: at(address ?? '') });
    }
    await on.ask({ do: 'close', id });
  });

  test('keeps its backend of a service for as long as that is one', async () => {
    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf('a', 'b')));
    const on = program('client');
    const id = on.id();
    await on.ask({ do: 'open', id, type: 'udp4' });
    const servers = new Set<string>();
    for (let count = 0; count < 20; count++) servers.add(sawOf(await on.exchange(id, at(WEB.ipv4))).server);
    expect(servers.size).toBe(1);
    const [first = ''] = servers;
    const other = first === 'a' ? 'b' : 'a';
    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf(other)));
    await expect.poll(async () => sawOf(await on.exchange(id, at(WEB.ipv4))).server, { timeout: 5000 }).toBe(other);
    await serveWebBy('a');
    await on.ask({ do: 'close', id });
  });
});

/** A socket that the test holds open. */
async function openDatagram(place: string, to: SocketEnd): Promise<number> {
  const on = program(place);
  const id = on.id();
  await on.ask({ do: 'open', id, type: to.address.includes(':') ? 'udp6' : 'udp4' });
  expect(await on.ask({ do: 'connectDatagram', id, ...to })).toEqual({ peer: to });
  expect((await on.exchange(id)).error).toBeUndefined();
  return id;
}

async function openStream(place: string, to: SocketEnd): Promise<number> {
  const id = program(place).id();
  expect(await program(place).ask({ do: 'connect', id, ...to })).toEqual({ peer: to });
  return id;
}

/** Changes the backend of web and waits until that is in force. */
async function serveWebBy(name: string): Promise<void> {
  node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf(name)));
  const serverOf = async (to: SocketEnd) => sawOf(await program('client').who(to)).server;
  const isInForce = async () => (await serverOf(at(WEB.ipv4))) === name && (await serverOf(at(WEB.ipv6))) === name;
  if (!(await until(isInForce, 5000))) throw new Error(`${name} does not serve`);
}

describe('a backend that left its service', () => {
  beforeAll(() => serveWebBy('a'));

  test('ends connected UDP sockets to it, in pods and on the node, and no other', async () => {
    const targets = [at(WEB.ipv4), at(WEB.ipv6), at(mapped(WEB.ipv4)), at(NODE.ipv4, NODE_PORT)];
    const held: [string, number][] = [];
    for (const place of ['client', 'node']) {
      for (const to of targets) held.push([place, await openDatagram(place, to)]);
    }
    held.push(['node', await openDatagram('node', at('127.0.0.1', NODE_PORT))]);
    const direct = await openDatagram('client', at(pods.a?.ipv4 ?? '', SERVER_PORT));
    const other = await openDatagram('client', at(MANY[0] ?? ''));
    const stream = await openStream('client', at(WEB.ipv4));

    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf('b')));
    for (const [place, id] of held) {
      const ended = await program(place).ask({ do: 'receive', id, milliseconds: 5000 });
      expect(ended).toEqual({ error: 'ECONNABORTED' });
      await program(place).ask({ do: 'close', id });
    }
    expect(sawOf(await program('client').exchange(direct)).server).toBe('a');
    expect(sawOf(await program('client').exchange(other)).server).toBe('a');
    expect(sawOf(await program('client').ask({ do: 'ask', id: stream })).server).toBe('a');
    expect(sawOf(await whoByDatagram('client', at(WEB.ipv4), true)).server).toBe('b');
  });

  test('keeps its UDP sockets while its service has no other', async () => {
    const id = await openDatagram('client', at(WEB.ipv4));
    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, []));
    await expect.poll(() => whoByDatagram('client', at(WEB.ipv4), true)).toEqual({ error: 'ECONNREFUSED' });
    expect(sawOf(await program('client').exchange(id)).server).toBe('b');
    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf('a')));
    expect(await program('client').ask({ do: 'receive', id, milliseconds: 5000 })).toEqual({ error: 'ECONNABORTED' });
  });
});

describe('a pod that is removed', () => {
  test('resets connections to it at once, of pods and of the node', async () => {
    pods.c = await node.addPod('c');
    programs.c = new SocketProgram(node, 'c');
    await program('c').ask({ do: 'serve', name: 'c', port: SERVER_PORT });
    await serveWebBy('c');
    const held = [];
    for (const place of ['client', 'node']) {
      for (const to of [at(WEB.ipv4), at(WEB.ipv6)]) held.push({ place, id: await openStream(place, to) });
    }
    const ends = held.map(({ place, id }) => program(place).ask({ do: 'wait', id }));
    await node.cni('DEL', 'c');
    expect(await Promise.all(ends)).toEqual(held.map(() => ({ error: 'ECONNABORTED' })));
    await program('c')[Symbol.asyncDispose]();
    delete programs.c;
    await node.deleteNamespace('c');
    await serveWebBy('a');
  });
});

describe('an agent that is killed', () => {
  test('leaves everything working, and the next one replaces the programs', async () => {
    const stream = await openStream('client', at(WEB.ipv4));
    const datagram = await openDatagram('client', at(WEB.ipv6));
    const before = await node.programs();
    await node.endAgent('SIGKILL');
    expect(await program('client').who(at(WEB.ipv4))).toMatchObject({ peer: at(WEB.ipv4) });
    expect(await whoByDatagram('node', at(WEB.ipv6), false)).toMatchObject({ peer: at(WEB.ipv6) });
    const { state } = await node.startAgent();
    expect(state.sockets).toEqual({ mode: 'sockets' });
    const after = await node.programs();
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const link of SOCKET_LINKS) expect(after[link]).toBeGreaterThan(before[link] ?? 0);
    expect(sawOf(await program('client').ask({ do: 'ask', id: stream })).server).toBe('a');
    const answer = await program('client').exchange(datagram);
    expect(answer).toMatchObject({ peer: at(WEB.ipv6) });
    expect(sawOf(answer).server).toBe('a');
  });

  test('and missed that a backend left: its successor ends the sockets to it', async () => {
    const id = await openDatagram('client', at(WEB.ipv4));
    await node.endAgent('SIGKILL');
    node.write('web.yaml', ...sliceObjects('web', SERVER_PORT, bothOf('b')));
    await node.startAgent();
    expect(await program('client').ask({ do: 'receive', id, milliseconds: 5000 })).toEqual({ error: 'ECONNABORTED' });
    await serveWebBy('a');
  });
});

describe('with --sockets never', () => {
  beforeAll(async () => {
    await node.endAgent('SIGTERM');
    await node.startAgent({ sockets: 'never' });
  });

  test('nothing is attached to sockets, and what was there is gone', async () => {
    expect((await node.status())?.state.sockets).toEqual({ mode: 'packets' });
    expect(Object.keys(await node.programs()).filter((link) => SOCKET_LINKS.includes(link))).toEqual([]);
  });

  test.each(FRONTENDS)('a pod reaches a %s %o by packets', async (_, to) => {
    const answer = await program('client').who(to);
    const family = to.address.includes('.') ? 'ipv4' : 'ipv6';
    expect(sawOf(answer)).toMatchObject({ server: 'a', client: { address: NODE[family] } });
    for (const connected of [true, false]) {
      expect(sawOf(await whoByDatagram('client', to, connected)).server).toBe('a');
    }
  });

  test('and back: sockets are served again', async () => {
    await node.endAgent('SIGTERM');
    await node.startAgent({});
    const answer = await program('client').who(at(WEB.ipv4));
    expect(sawOf(answer).client.address).toBe(pods.client?.ipv4);
  });
});
