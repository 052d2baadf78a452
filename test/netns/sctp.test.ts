// SCTP through a real agent: whole associations, made of frames because this kernel need not have SCTP.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../../src/testbed/command.js';
import { runCli } from '../support/cli.js';
import type { Frames, Heard } from '../support/frames.js';
import { FAMILIES, type Family, RfcWorld } from '../support/rfc-world.js';
import type { Chunk, ChunkName } from '../support/sctp-layer.js';

const SERVER_PORT = 3868;
const FRONTEND_PORT = 38_680;
const NODE_PORTS = { 4: 30_864, 6: 30_866 } as const;
const CLIENT_PORT = 45_000;
const VIP = { 4: '10.96.0.68', 6: 'fd00:96::68' } as const;
const CLIENT_TAG = 0x11112222;
const SERVER_TAG = 0x33334444;

/** An association's whole life: who sends what. The tag is that of the receiver, but INIT has none. */
const LIFE: readonly (readonly [from: 'client' | 'server', ChunkName | Chunk])[] = [
  ['client', { type: 'INIT', initiateTag: CLIENT_TAG }],
  ['server', { type: 'INIT ACK', initiateTag: SERVER_TAG }],
  ['client', 'COOKIE ECHO'],
  ['server', 'COOKIE ACK'],
  ['client', { type: 'DATA', value: Buffer.alloc(700, 'question') }],
  ['server', 'SACK'],
  ['server', { type: 'DATA', value: Buffer.alloc(1001, 'answer') }],
  ['client', 'HEARTBEAT'],
  ['server', 'HEARTBEAT ACK'],
  ['client', 'SHUTDOWN'],
  ['server', 'SHUTDOWN ACK'],
  ['client', 'SHUTDOWN COMPLETE'],
];

interface At {
  readonly address: string;
  readonly port: number;
}

/** One end of an association, which only frames speak for. */
interface End {
  readonly at: At;
  readonly frames: Frames;
  /** Whom it takes for its peer; a server learns it. */
  peer: At | undefined;
  readonly from: 'outside' | string;
}

let world: RfcWorld;
beforeAll(async () => {
  world = await RfcWorld.open({ pods: ['a', 'b'] });
  for (const pod of ['a', 'b']) await world.silence(pod);
  for (const { family } of FAMILIES) world.node.write(`service-${family}.yaml`, ...service(family));
  const frontends = () => world.node.entries('services').length;
  if (!(await until(() => frontends() === 6, 5000))) throw new Error(world.node.tail());
}, 60_000);
afterAll(() => world?.[Symbol.asyncDispose]());

function service(family: Family): object[] {
  const name = `sctp-${family}`;
  const metadata = { name, namespace: 'test' };
  const ports = [{ protocol: 'SCTP', port: FRONTEND_PORT, targetPort: SERVER_PORT, nodePort: NODE_PORTS[family] }];
  const families = { ipFamilies: [`IPv${family}`], clusterIP: VIP[family], clusterIPs: [VIP[family]] };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { type: 'NodePort', ...families, ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: `IPv${family}`,
      endpoints: [{ addresses: [world.pod('b', family)], nodeName: world.nodeName, conditions: { ready: true } }],
      ports: [{ name: '', protocol: 'SCTP', port: SERVER_PORT }],
    },
  ];
}

async function outside(at: At, peer?: At): Promise<End> {
  return { at, peer, frames: world.wire, from: 'outside' };
}

async function inPod(name: string, family: Family, port: number, peer?: At): Promise<End> {
  return { at: { address: world.pod(name, family), port }, peer, frames: await world.frames(name), from: name };
}

/** Sends a chunk and waits for it at the other end; tells whom that end saw. */
async function pass(
  sender: End,
  receiver: End,
  { chunk, tag }: { chunk: ChunkName | Chunk; tag: number },
): Promise<At> {
  const to = sender.peer;
  if (to === undefined) throw new Error('nobody to send to');
  const frame = sender.from === 'outside' ? world.fromOutside() : world.fromPod(sender.from);
  const fields = { source: sender.at.port, destination: to.port, tag, chunks: [chunk] };
  const packet = frame.ip({ source: sender.at.address, destination: to.address }).sctp(fields);
  const name = typeof chunk === 'string' ? chunk : chunk.type;
  sender.frames.send(packet);
  const arrived = ({ network, transport }: Heard): boolean =>
    transport?.name === 'sctp' &&
    network.destination === receiver.at.address &&
    transport.destination === receiver.at.port &&
    transport.text.endsWith(`tag ${tag} ${name}`);
  const { network, transport } = await receiver.frames.next(arrived, `${name} at ${receiver.at.address}`);
  expect([name, transport?.checksum]).toEqual([name, 'ok']);
  const sent = packet.bytes().subarray(packet.bytes().length - 4);
  expect(transport?.payload.subarray(-4)).toEqual(sent);
  return { address: network.source, port: transport?.source ?? 0 };
}

/** A whole life; returns whom the server saw. */
async function associate(client: End, server: End): Promise<At> {
  const seen: At[] = [];
  for (const [from, chunk] of LIFE) {
    const [sender, receiver] = from === 'client' ? [client, server] : [server, client];
    const init = typeof chunk !== 'string' && chunk.type === 'INIT';
    const tag = init ? 0 : from === 'client' ? SERVER_TAG : CLIENT_TAG;
    const source = await pass(sender, receiver, { chunk, tag });
    if (from === 'client') {
      server.peer = source;
      seen.push(source);
    } else {
      expect(source).toEqual(client.peer);
    }
  }
  expect(new Set(seen.map(({ address, port }) => `${address} ${port}`)).size).toBe(1);
  return seen[0] ?? { address: '', port: 0 };
}

const json = async (...words: string[]): Promise<Record<string, unknown>[]> => {
  const { stdout, stderr, status } = await runCli(...words, '--state-dir', world.node.stateDir, '-o', 'json');
  expect(status, stderr).toBe(0);
  return (JSON.parse(stdout) as { items: Record<string, unknown>[] }).items;
};

describe.each(FAMILIES)('$name', ({ family }) => {
  test('K8: a pod to a cluster IP, and back', async () => {
    const client = await inPod('a', family, CLIENT_PORT, { address: VIP[family], port: FRONTEND_PORT });
    const server = await inPod('b', family, SERVER_PORT);
    expect((await associate(client, server)).address).toBe(world.nodeAddress(family));
  });

  test("K9: an outsider to the node's port, and back: the server sees the client itself", async () => {
    const from = { address: world.silent(family), port: CLIENT_PORT };
    const client = await outside(from, { address: world.nodeAddress(family), port: NODE_PORTS[family] });
    expect(await associate(client, await inPod('b', family, SERVER_PORT))).toEqual(from);
  });

  test('a pod leaves its island by a port of its block, and `flow list` and `nat who` name it', async () => {
    const to = { address: world.silent(family), port: SERVER_PORT };
    const at = await associate(await inPod('a', family, CLIENT_PORT + 1, to), await outside(to));
    expect(at.address).toBe(world.nodeAddress(family));
    expect(at.port).not.toBe(CLIENT_PORT + 1);
    const flows = await json('flow', 'list', '--pod', 'test/a');
    expect(flows.map(({ protocol }) => protocol)).toContain('sctp');
    const who = await json(
      'nat',
      'who',
      family === 4 ? `${at.address}:${at.port}` : `[${at.address}]:${at.port}`,
      '--proto',
      'sctp',
    );
    expect(JSON.stringify(who)).toContain('"name":"a"');
  });

  test('K14: without an endpoint, an INIT is answered with an ABORT that has its tag', async () => {
    world.node.write(`service-${family}.yaml`, service(family)[0] ?? {});
    let port = CLIENT_PORT + 2;
    const from = { address: world.silent(family) };
    // An INIT before the change is in force begins a flow: each try has a port of its own.
    const refused = async (): Promise<boolean> => {
      const chunks = [{ type: 'INIT' as const, initiateTag: CLIENT_TAG }];
      const fields = { source: port++, destination: NODE_PORTS[family], chunks };
      world.wire.send(
        world
          .fromOutside()
          .ip({ source: from.address, destination: world.nodeAddress(family) })
          .sctp(fields),
      );
      const heard = await world.wire.during(
        ({ network, transport }) => network.destination === from.address && transport?.name === 'sctp',
      );
      return heard.some(
        ({ transport }) => transport?.checksum === 'ok' && transport.text.endsWith(`tag ${CLIENT_TAG} ABORT`),
      );
    };
    await expect.poll(refused, { timeout: 5000 }).toBe(true);
    world.node.write(`service-${family}.yaml`, ...service(family));
  });
});
