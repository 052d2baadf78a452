// Services at the socket: real programs in pods and on the node, whose packets have the backend's address from the start.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../src/testbed/command.js';
import { AgentNode } from '../support/agent-node.js';
import { NODE } from '../support/node-world.js';
import { type EndpointSpec, serviceObject, sliceObjects } from '../support/service-manifests.js';
import { type Answer, type SocketEnd, SocketProgram, sawOf } from '../support/socket-program.js';

const SERVER_PORT = 7000;
const PORT = 80;
const NODE_PORT = 30080;
const WEB = { ipv4: '10.96.0.10', ipv6: 'fd00:96::10' };
const VIP = { ipv4: '203.0.113.10', ipv6: '2001:db8:cb::10' };
const SELF = { ipv4: '10.96.0.11', ipv6: 'fd00:96::11' };
const EMPTY = { ipv4: '10.96.0.12', ipv6: 'fd00:96::12' };
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
  node.writeManifests();
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
    serviceObject({ name: 'self', clusterIPs: Object.values(SELF), port: PORT, targetPort: SERVER_PORT }),
    serviceObject({ name: 'empty', clusterIPs: Object.values(EMPTY), port: PORT, targetPort: SERVER_PORT }),
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

  test.each(FRONTENDS)('TCP to a %s %o reaches the backend untranslated, and is shown the frontend', async (_, to) => {
    const answer = await program(from).who(to);
    expect(answer).toMatchObject({ peer: to });
    expect(sawOf(answer)).toMatchObject({ server: 'a', client: { address: sourceOf(to) } });
    expect(node.flows()).toEqual([]);
  });

  test.each(FRONTENDS)('UDP to a %s %o, connected and not', async (_, to) => {
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
