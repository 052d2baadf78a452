// SCTP: translated with an exact checksum, followed by its chunks, and refused aloud.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FLOW_FLAGS } from '../../../src/datapath/types.gen.js';
import { runWalk } from '../../../src/datapath/walk.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import { abortAnswer, icmpAnswer } from '../../support/answers.js';
import { blocks } from '../../support/datapath.js';
import { ageFlows, CONNECTION_STATE, connectionState } from '../../support/flow-state.js';
import { fragmentsOf } from '../../support/fragments.js';
import { ip, type Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome, testCases } from '../../support/packet-case.js';
import { parseFrame } from '../../support/packet-text.js';
import type { Chunk, ChunkName } from '../../support/sctp-layer.js';
import { type Addresses, BLOCK, FAMILIES, from, into, NODE_PORT, PORTS } from '../../support/world.js';

const CLIENT = 40_000;
const SERVER = 5000;
const PORT = PORTS.a + (CLIENT % BLOCK);
/** Tags that packets to the pod and to the remote have. */
const MINE = 0xaaaa0001;
const THEIRS = 0xbbbb0002;
const FORGED = 0xdddd0003;
const { tcpOpening, tcpEstablished, tcpClosing } = DEFAULT_TIMEOUTS;
const { FLOW_SEEN_REPLY, FLOW_RESET, FLOW_RESET_VALID } = FLOW_FLAGS;
/** `SCTP_GSO_SEGMENT` */
const GSO_BY_FRAGMENTS = 0xffff;
/** Bytes of payload that the MTU lets through in either family. */
const LONGEST = 1400;

/** Who sends what; the tag is the right one unless given. */
type Step = readonly [who: 'pod' | 'remote', chunks: ChunkName | readonly (ChunkName | Chunk)[], tag?: number];

const OPENED: readonly Step[] = [
  ['pod', 'INIT'],
  ['remote', 'INIT ACK'],
  ['pod', 'COOKIE ECHO'],
  ['remote', 'COOKIE ACK'],
];

const setups = {
  'fast checksums': { config: { fast_checksum: 1 } },
  'checksums by helpers': { config: { fast_checksum: 0 } },
};

describeDatapath({ name: 'sctp', file: import.meta.filename, setups }, (get, setup) => {
  for (const [family, w] of FAMILIES) {
    testChecksum(family, w);
    testFragments(family, w);
    if (setup !== 'fast checksums') continue;
    testState(family, w);
    testRefusals(family, w);
    testErrors(family, w);
  }

  function testChecksum(family: string, w: Addresses): void {
    const given = fc.record({
      source: fc.nat(0xffff),
      destination: fc.nat(0xffff),
      tag: fc.nat(0xffffffff),
      length: fc.oneof(fc.nat(64), fc.nat(LONGEST)),
      checksum: fc.option(fc.nat(0xffffffff), { nil: undefined, freq: 4 }),
    });

    it(`${family}: whatever is sent, the checksum stays exactly as right or as wrong as it was`, () => {
      fc.assert(
        fc.property(given, ({ length, checksum, ...fields }) => {
          get().reset();
          const port = PORTS.a + (fields.source % BLOCK);
          const packet = (frame: Packet, ports: { source?: number; destination?: number }, name: ChunkName) =>
            frame.sctp({ ...fields, ...ports, chunks: [longChunk(name, length)] });
          const spoil = (bytes: Buffer) => (checksum === undefined ? bytes : changeChecksum(bytes, w, checksum));
          const sent = get().run(
            'a',
            spoil(packet(from('a').ip({ source: w.a, destination: w.remote }), {}, 'INIT').bytes()),
          );
          const out = packet(
            from('a').ip({ source: w.node, destination: w.remote, ttl: 63 }),
            { source: port },
            'INIT',
          );
          expect(sent.bytes.toString('hex')).toBe(spoil(out.bytes()).toString('hex'));
          const back = { source: fields.destination, destination: port };
          const answer = packet(from('uplink').ip({ source: w.remote, destination: w.node }), back, 'INIT ACK');
          const arrives = { source: fields.destination, destination: fields.source };
          const wanted = packet(into('a').ip({ source: w.remote, destination: w.a, ttl: 63 }), arrives, 'INIT ACK');
          expect(get().run('uplink', spoil(answer.bytes())).bytes.toString('hex')).toBe(
            spoil(wanted.bytes()).toString('hex'),
          );
        }),
        { numRuns: 100 },
      );
    });

    const ports = { source: CLIENT, destination: SERVER };
    testCases(get, [
      {
        name: `${family}: a checksum of 0 is none, or the device's to write: it stays 0`,
        from: 'a',
        in: from('a')
          .ip({ source: w.a, destination: w.remote })
          .sctp({ ...ports, checksum: 0 }),
        verdict: 'redirect',
        out: from('a')
          .ip({ source: w.node, destination: w.remote, ttl: 63 })
          .sctp({ ...ports, source: PORT, checksum: 0 }),
        flows: null,
      },
      {
        name: `${family}: many packets that their sender leaves to the device to part are not too large`,
        from: 'a',
        in: from('a')
          .ip({ source: w.a, destination: w.remote })
          .sctp({ ...ports, checksum: 0, chunks: [longChunk('INIT', 3000)] }),
        gsoSize: GSO_BY_FRAGMENTS,
        verdict: 'redirect',
        out: from('a')
          .ip({ source: w.node, destination: w.remote, ttl: 63 })
          .sctp({ ...ports, source: PORT, checksum: 0, chunks: [longChunk('INIT', 3000)] }),
        flows: null,
      },
    ]);
    testCases(
      get,
      [
        {
          name: `${family}: an INIT`,
          from: 'a',
          in: from('a')
            .ip({ source: w.a, destination: w.remote })
            .sctp({ ...ports, chunks: [longChunk('INIT', 3)] }),
          verdict: 'redirect',
          out: from('a')
            .ip({ source: w.node, destination: w.remote, ttl: 63 })
            .sctp({ ...ports, source: PORT, chunks: [longChunk('INIT', 3)] }),
          flows: null,
        },
      ],
      { summed: true },
    );
  }

  function testFragments(family: string, w: Addresses): void {
    const pieces = (packet: Packet) => fragmentsOf(packet.bytes(), { id: 9, bytes: 64 });

    it(`${family}: fragments pass where only addresses change`, () => {
      get().setService([{ address: w.vip, port: SERVER, protocol: 132 }], [{ address: w.b, port: SERVER }]);
      const fields = { source: CLIENT, destination: SERVER };
      const sent = pieces(
        from('uplink')
          .ip({ source: w.remote, destination: w.vip })
          .sctp({ ...fields, chunks: [longChunk('INIT', 150)] }),
      );
      const wanted = pieces(
        into('b')
          .ip({ source: w.remote, destination: w.b, ttl: 63 })
          .sctp({ ...fields, chunks: [longChunk('INIT', 150)] }),
      );
      expect(sent).toHaveLength(3);
      sent.forEach((piece, index) => {
        expectOutcome(get().run('uplink', piece), 'redirect', wanted[index] ?? Buffer.alloc(0));
      });
      expect(get().drops()).toEqual({});
    });

    it(`${family}: none of them passes where a port would change`, () => {
      const sent = pieces(
        from('a')
          .ip({ source: w.a, destination: w.remote })
          .sctp({ source: CLIENT, destination: SERVER, chunks: [longChunk('INIT', 150)] }),
      );
      for (const piece of sent) expect(get().run('a', piece).verdict).toBe('drop');
      expect(get().drops()).toEqual({ DROP_UNSUPPORTED_PROTOCOL: sent.length });
    });
  }

  function testState(family: string, w: Addresses): void {
    function send(...steps: readonly Step[]): void {
      for (const [who, chunks, tag] of steps) {
        const { device, packet, out } = stepOf(w, who, { chunks, tag });
        expectOutcome(get().run(device, packet), 'redirect', out);
      }
    }

    const key = (of: 'pod' | 'remote') =>
      of === 'pod'
        ? { source: w.a, source_port: CLIENT, destination: w.remote, destination_port: SERVER, protocol: 132 }
        : { source: w.remote, source_port: SERVER, destination: w.node, destination_port: PORT, protocol: 132 };

    const state = () => connectionState(get().maps.flows, key('pod'), key('remote'));
    const age = (seconds: number) => ageFlows(get().maps.flows, seconds);

    async function lives(): Promise<boolean> {
      await runWalk(get().program('sweep_flows'));
      return get().flows().length === 2;
    }

    async function expectLife(seconds: number): Promise<void> {
      age(seconds - 3);
      expect(await lives()).toBe(true);
      age(4);
      expect(await lives()).toBe(false);
    }

    /** Leaves the pod nothing but the port of the flow, and tries to open another to the same remote. */
    function portIsFree(): boolean {
      const endpoint = get().maps.endpoints.get(w.a);
      if (endpoint === undefined) throw new Error(`no endpoint ${w.a}`);
      get().maps.endpoints.set(w.a, { ...endpoint, ...blocks(1, PORT) });
      const init = { source: CLIENT + BLOCK, destination: SERVER };
      get().run('a', from('a').ip({ source: w.a, destination: w.remote }).sctp(init));
      return (get().drops().DROP_PORTS_EXHAUSTED ?? 0) === 0;
    }

    const courses: readonly { name: string; steps: readonly Step[]; state: string; life: number; free: boolean }[] = [
      { name: 'INIT, not answered', steps: [['pod', 'INIT']], state: '', life: tcpOpening, free: false },
      {
        name: 'INIT, answered by a heartbeat only',
        steps: [
          ['pod', 'INIT'],
          ['remote', 'HEARTBEAT'],
        ],
        state: '',
        life: tcpOpening,
        free: false,
      },
      { name: 'INIT ACK', steps: OPENED.slice(0, 2), state: 'seen_reply', life: tcpEstablished, free: false },
      { name: 'COOKIE ACK', steps: OPENED, state: 'seen_reply', life: tcpEstablished, free: false },
      {
        name: 'SHUTDOWN of one side',
        steps: [...OPENED, ['pod', 'SHUTDOWN']],
        state: 'seen_reply fin_original',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'SHUTDOWN ACK of the other',
        steps: [...OPENED, ['pod', ['SHUTDOWN', 'SACK']], ['remote', 'SHUTDOWN ACK']],
        state: 'seen_reply fin_original fin_reply',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'SHUTDOWN COMPLETE',
        steps: [...OPENED, ['remote', 'SHUTDOWN'], ['pod', 'SHUTDOWN ACK'], ['remote', 'SHUTDOWN COMPLETE']],
        state: 'seen_reply fin_original fin_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: "an ABORT of the pod's, behind another chunk",
        steps: [...OPENED, ['pod', ['SACK', 'ABORT']]],
        state: 'seen_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'an ABORT with the tag that the pod has asked for',
        steps: [...OPENED, ['remote', 'ABORT']],
        state: 'seen_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: "an ABORT that reflects the pod's own tag",
        steps: [...OPENED, ['remote', [{ type: 'ABORT', flags: 1 }], THEIRS]],
        state: 'seen_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'an INIT, refused by an ABORT',
        steps: [
          ['pod', 'INIT'],
          ['remote', 'ABORT'],
        ],
        state: 'reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'an ABORT with another tag',
        steps: [...OPENED, ['remote', 'ABORT', FORGED]],
        state: 'seen_reply reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'an ABORT without a tag, to an INIT',
        steps: [
          ['pod', 'INIT'],
          ['remote', 'ABORT', 0],
        ],
        state: 'reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'an ABORT with another tag, and then data',
        steps: [...OPENED, ['remote', 'ABORT', FORGED], ['remote', 'DATA']],
        state: 'seen_reply',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'an INIT ACK with another tag announces nothing that an ABORT could reflect',
        steps: [
          ['pod', 'INIT'],
          ['remote', [{ type: 'INIT ACK', initiateTag: FORGED }], FORGED],
          ['remote', [{ type: 'ABORT', flags: 1 }], FORGED],
        ],
        state: 'seen_reply reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'ended, and opened again by the same ports',
        steps: [...OPENED, ['pod', 'SHUTDOWN'], ['remote', 'SHUTDOWN ACK'], ['pod', 'INIT']],
        state: '',
        life: tcpOpening,
        free: false,
      },
    ];

    it.each(courses)(`${family}: $name`, async ({ steps, state: wanted, life }) => {
      send(...steps);
      expect(state()).toBe(wanted);
      await expectLife(life);
    });

    it.each(courses)(`${family}: is the port free? $name`, ({ steps, free }) => {
      send(...steps);
      expect(portIsFree()).toBe(free);
    });

    it(`${family}: a heartbeat of the pod keeps its association alive, an ABORT does not`, async () => {
      send(...OPENED);
      age(tcpEstablished - 3);
      send(['pod', 'HEARTBEAT']);
      age(tcpEstablished - 3);
      expect(await lives()).toBe(true);
      age(10);
      send(['remote', 'ABORT', FORGED]);
      age(tcpClosing);
      expect(await lives()).toBe(false);
    });

    it(`${family}: a pod that serves is known by the tag of its INIT ACK`, () => {
      get().setService([{ address: w.node, port: NODE_PORT, protocol: 132 }], [{ address: w.b, port: SERVER }]);
      const asks = (chunks: readonly (ChunkName | Chunk)[], tag: number) =>
        from('uplink')
          .ip({ source: w.remote, destination: w.node })
          .sctp({ source: 7, destination: NODE_PORT, chunks, tag });
      const says = (chunks: readonly (ChunkName | Chunk)[], tag: number) =>
        from('b').ip({ source: w.b, destination: w.remote }).sctp({ source: SERVER, destination: 7, chunks, tag });
      const flags = () => {
        const [, flow] = [...get().maps.flows.scan()].find(([, { flags: bits }]) => bits & FLOW_FLAGS.FLOW_REPLY) ?? [];
        return (flow?.flags ?? 0) & CONNECTION_STATE;
      };
      get().run('uplink', asks([{ type: 'INIT', initiateTag: THEIRS }], 0));
      get().run('b', says([{ type: 'INIT ACK', initiateTag: MINE }], THEIRS));
      get().run('uplink', asks(['COOKIE ECHO'], MINE));
      get().run('uplink', asks(['ABORT'], FORGED));
      expect(flags()).toBe(FLOW_SEEN_REPLY | FLOW_RESET);
      get().run('uplink', asks(['ABORT'], MINE));
      expect(flags()).toBe(FLOW_SEEN_REPLY | FLOW_RESET | FLOW_RESET_VALID);
    });
  }

  function testRefusals(family: string, w: Addresses): void {
    const out = (chunks: readonly (ChunkName | Chunk)[]) =>
      from('a')
        .ip({ source: w.a, destination: w.remote })
        .sctp({ source: CLIENT, destination: SERVER, tag: 77, chunks });
    const dead = (chunks: readonly (ChunkName | Chunk)[]) =>
      from('a')
        .ip({ source: w.a, destination: w.nobody })
        .sctp({ source: CLIENT, destination: SERVER, tag: 77, chunks });
    const none = { from: 'a', drops: { DROP_NO_FLOW: 1 } } as const;
    testCases(get, [
      ...(['DATA', 'COOKIE ECHO', 'SHUTDOWN ACK', 'INIT ACK'] as const).map((chunk) => ({
        name: `${family}: ${chunk} of no association is answered with an ABORT`,
        ...none,
        in: out([chunk]),
        verdict: 'redirect' as const,
        out: abortAnswer('a', out([chunk])),
      })),
      ...(['ABORT', 'SHUTDOWN COMPLETE', 'HEARTBEAT', 'HEARTBEAT ACK'] as const).map((chunk) => ({
        name: `${family}: ${chunk} of no association is dropped in silence`,
        ...none,
        in: out([chunk]),
        verdict: 'drop' as const,
      })),
      {
        name: `${family}: an INIT with another chunk begins nothing (RFC 9260 section 6.10)`,
        ...none,
        in: out(['INIT', 'DATA']),
        verdict: 'redirect',
        out: abortAnswer('a', out(['INIT', 'DATA'])),
      },
      {
        name: `${family}: data to a pod that is gone is answered with an ABORT`,
        from: 'a',
        in: dead(['DATA']),
        verdict: 'redirect',
        out: abortAnswer('a', dead(['DATA'])),
        drops: { DROP_NO_ENDPOINT: 1 },
      },
      {
        name: `${family}: an INIT to an address without a pod is unreachable`,
        from: 'a',
        in: dead(['INIT']),
        verdict: 'redirect',
        out: icmpAnswer('a', dead(['INIT']), { kind: 'hostUnreachable', from: w.node }),
        drops: { DROP_NO_ENDPOINT: 1 },
      },
      {
        name: `${family}: a common header that is not whole`,
        from: 'a',
        in: raw(w, Buffer.alloc(11)),
        verdict: 'drop',
        drops: { DROP_TRUNCATED: 1 },
      },
      {
        name: `${family}: an INIT without its tag, whatever the frame has behind it`,
        from: 'a',
        in: Buffer.concat([raw(w, TAGLESS).bytes(), Buffer.alloc(8, 0xa5)]),
        verdict: 'drop',
        drops: { DROP_TRUNCATED: 1 },
      },
    ]);
    it(`${family}: no ABORT has a tag that the packet does not have, only its frame`, () => {
      get().setService([{ address: w.vip, port: 80, protocol: 132 }], []);
      const to = (bytes: Buffer) => raw({ ...w, remote: w.vip }, bytes);
      const refuse = (packet: Packet | Buffer) => get().run('a', packet).verdict;
      expect(refuse(to(Buffer.concat([TAGLESS, Buffer.alloc(16, 0xa5)])))).toBe('redirect');
      expect(refuse(Buffer.concat([to(TAGLESS).bytes(), Buffer.alloc(16, 0xa5)]))).toBe('drop');
      expect(get().drops()).toEqual({ DROP_NO_BACKEND: 2 });
    });
  }

  function testErrors(family: string, w: Addresses): void {
    it(`${family}: an error about a translated packet reaches its pod, quoted as the pod sent it`, () => {
      const fields = { source: CLIENT, destination: SERVER, tag: 0x01020304, chunks: ['INIT'] as const };
      get().run('a', from('a').ip({ source: w.a, destination: w.remote }).sctp(fields));
      const quoted = ip({ source: w.node, destination: w.remote, ttl: 60 }).sctp({ ...fields, source: PORT });
      const error = (frame: Packet, quote: Packet) =>
        w.a.includes(':')
          ? frame.icmp6({ type: 2, rest: 1400 }).payload(quote.bytes())
          : frame.icmp4({ type: 3, code: 4, rest: 1400 }).payload(quote.bytes());
      const sum = parseTransportSum(quoted);
      const seen = ip({ source: w.a, destination: w.remote, ttl: 60 }).sctp({ ...fields, checksum: sum });
      expectOutcome(
        get().run('uplink', error(from('uplink').ip({ source: w.router, destination: w.node }), quoted)),
        'redirect',
        error(into('a').ip({ source: w.router, destination: w.a, ttl: 63 }), seen),
      );
    });
  }

  it('scapy finds the same checksums', ({ skip }) => {
    const python = ['/usr/bin/python3', 'python3'].find((each) => spawnSync(each, ['-c', 'import scapy']).status === 0);
    if (python === undefined) return skip('no python3 with scapy');
    const frames = FAMILIES.map(([, w]) => {
      const sent = from('a').ip({ source: w.a, destination: w.remote }).sctp({ source: CLIENT, destination: SERVER });
      return get().run('a', sent).bytes.toString('hex');
    });
    const script = `
import sys
from scapy.all import Ether, SCTP
for line in sys.stdin:
    frame = Ether(bytes.fromhex(line))
    frame[SCTP].delfieldval('chksum')
    print(bytes(frame).hex())
`;
    const { stdout, stderr, status } = spawnSync(python, ['-c', script], {
      input: frames.join('\n'),
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(frames);
  });
});

/** A packet as it comes in, and as it goes on. */
function stepOf(w: Addresses, who: 'pod' | 'remote', { chunks, tag }: { chunks: Step[1]; tag: Step[2] }) {
  const announced = who === 'pod' ? MINE : THEIRS;
  const list = (typeof chunks === 'string' ? [chunks] : chunks).map((chunk) =>
    chunk === 'INIT' || chunk === 'INIT ACK' ? { type: chunk, initiateTag: announced } : chunk,
  );
  const usual = list.some((chunk) => typeof chunk !== 'string' && chunk.type === 'INIT')
    ? 0
    : who === 'pod'
      ? THEIRS
      : MINE;
  const fields = { chunks: list, tag: tag ?? usual };
  if (who === 'pod') {
    const ports = { source: CLIENT, destination: SERVER };
    return {
      device: 'a' as const,
      packet: from('a')
        .ip({ source: w.a, destination: w.remote })
        .sctp({ ...fields, ...ports }),
      out: from('a')
        .ip({ source: w.node, destination: w.remote, ttl: 63 })
        .sctp({ ...fields, ...ports, source: PORT }),
    };
  }
  const ports = { source: SERVER, destination: PORT };
  return {
    device: 'uplink' as const,
    packet: from('uplink')
      .ip({ source: w.remote, destination: w.node })
      .sctp({ ...fields, ...ports }),
    out: into('a')
      .ip({ source: w.remote, destination: w.a, ttl: 63 })
      .sctp({ ...fields, ...ports, destination: CLIENT }),
  };
}

/** Where the SCTP header of a frame without IP options begins. */
function headerAt(w: Addresses): number {
  return 14 + (w.a.includes(':') ? 40 : 20);
}

/** The same bits of the checksum made wrong; never to 0, which would say that there is none. */
function changeChecksum(bytes: Buffer, w: Addresses, bits: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = headerAt(w) + 8;
  copy.writeUInt32LE((copy.readUInt32LE(at) ^ bits) >>> 0, at);
  return copy;
}

function parseTransportSum(packet: Packet): number {
  const bytes = packet.bytes();
  const body = parseFrame(Buffer.concat([Buffer.alloc(14), bytes]))?.body;
  if (body === undefined) throw new Error('no packet');
  return body.readUInt32LE(8);
}

/** Ports, tag and checksum, and the header of an INIT; nothing more. */
const TAGLESS = Buffer.from('9c400050000000000000000001000014', 'hex');

/** SCTP with a header as it is given. */
function raw({ a, remote }: Addresses, bytes: Buffer): Packet {
  const ends = { source: a, destination: remote };
  const frame = a.includes(':') ? from('a').ipv6({ ...ends, next: 132 }) : from('a').ipv4({ ...ends, protocol: 132 });
  return frame.payload(bytes);
}

/** With so many bytes behind what every INIT has. */
function longChunk(type: ChunkName, bytes: number): Chunk {
  return { type, value: Buffer.from(Uint8Array.from({ length: 16 + bytes }, (_, index) => index + 1)) };
}
