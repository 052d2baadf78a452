// Use of a port again: by whose record the server will take the SYN, and timestamps that move when it would not.
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../support/datapath.js';
import type { Packet } from '../../support/packet.js';
import { describeDatapath } from '../../support/packet-case.js';
import { type Network, parseFrame, parseTransport, type Transport } from '../../support/packet-text.js';
import { BLOCK, FAMILIES, from } from '../../support/world.js';

const FIRST_PORT = 20_000;
const OLD = 1_000_000;
const NEW = 9_000_000;

interface Numbers {
  readonly seq?: number;
  readonly ack?: number;
  /** TSval; no timestamps when absent. */
  readonly value?: number;
  readonly echo?: number;
  /** What stands before the option: it may begin at an odd place. */
  readonly padding?: string;
}

/** The timestamp option with NOPs around it, a multiple of 4 bytes. */
function options({ value, echo = 0, padding = '0101' }: Numbers): { options?: Buffer } {
  if (value === undefined) return {};
  const option = Buffer.alloc(10);
  option[0] = 8;
  option[1] = 10;
  option.writeUInt32BE(value, 2);
  option.writeUInt32BE(echo, 6);
  const bytes = Buffer.concat([Buffer.from(padding, 'hex'), option]);
  return { options: Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4, 1)]) };
}

const setups = {
  'fast checksums': { config: { fast_checksum: 1 } },
  'checksums by helpers': { config: { fast_checksum: 0 } },
};

describeDatapath({ name: 'continuity', file: import.meta.filename, setups }, (get) => {
  describe.each(FAMILIES)('%s', (_, w) => {
    const mine = (port: number, flags: string, numbers: Numbers = {}): Packet => {
      const { seq = 1000, ack = 0 } = numbers;
      const fields = { source: port, destination: 443, flags, seq, ack, ...options(numbers) };
      return from('a').ip({ source: w.a, destination: w.remote }).tcp(fields);
    };
    const theirs = (outside: number, flags: string, numbers: Numbers = {}): Packet => {
      const { seq = 5000, ack = 1001 } = numbers;
      const fields = { source: 443, destination: outside, flags, seq, ack, ...options(numbers) };
      return from('uplink').ip({ source: w.remote, destination: w.node }).tcp(fields);
    };
    const send = (port: number, flags: string, numbers?: Numbers) => seen(get().run('a', mine(port, flags, numbers)));
    const receive = (outside: number, flags: string, numbers?: Numbers) =>
      seen(get().run('uplink', theirs(outside, flags, numbers)));

    /** A connection from SYN to the last ACK; returns its outside port. */
    const closeOne = (port: number, numbers: Numbers): number => {
      const { seq = 1000 } = numbers;
      const outside = send(port, 'S', { ...numbers, seq: seq - 10 }).transport.source;
      receive(outside, 'SA', { ...numbers, ack: seq - 9 });
      send(port, 'A', { ...numbers, seq: seq - 9, ack: 5001 });
      send(port, 'FA', { ...numbers, seq: seq - 1, ack: 5001 });
      receive(outside, 'FA', { ...numbers, seq: 5001, ack: seq });
      send(port, 'A', { ...numbers, seq, ack: 5002 });
      return outside;
    };
    /** All ports of the block, closed: one of them with other numbers than the rest. */
    const closeAll = (rest: Numbers, other: Numbers = rest): number => {
      let chosen = 0;
      for (let index = 0; index < BLOCK; index++) {
        const outside = closeOne(FIRST_PORT + index, index === 77 ? other : rest);
        if (index === 77) chosen = outside;
      }
      return chosen;
    };

    it('of closed ports, the SYN takes the one whose timestamp is older', () => {
      const older = closeAll({ value: NEW }, { value: OLD });
      const { transport, network } = send(40_000, 'S', { value: OLD + 1 });
      expect([transport.source, tsValue(network)]).toEqual([older, OLD + 1]);
    });

    it('timestamps are compared modulo 2^32', () => {
      const older = closeAll({ value: 5000 }, { value: 0xffff_fff0 });
      expect(send(40_000, 'S', { value: 7 }).transport.source).toBe(older);
    });

    it('without timestamps, the one whose sequence number is older', () => {
      const older = closeAll({ seq: NEW }, { seq: OLD });
      expect(send(40_000, 'S', { seq: OLD + 1 }).transport.source).toBe(older);
    });

    it('a SYN without timestamps is compared by sequence number with those that had them', () => {
      const older = closeAll({ seq: NEW, value: OLD }, { seq: OLD, value: NEW });
      expect(send(40_000, 'S', { seq: OLD + 1 }).transport.source).toBe(older);
    });

    it.each([
      ['at an even place', '0101'],
      ['at an odd place', '010101'],
      ['behind the options of a SYN', '020405b40402'],
    ])('when no record is older, timestamps move forward and their echoes back, the option %s', (_name, padding) => {
      closeAll({ value: NEW });
      const syn = send(40_000, 'S', { value: OLD, padding });
      const moved = tsValue(syn.network) - OLD;
      expect(tsValue(syn.network)).toBeGreaterThan(NEW);
      expect(syn.transport.checksum).toBe('ok');
      const { source } = syn.transport;
      const answer = receive(source, 'SA', { value: 123, echo: OLD + moved, padding });
      expect([tsValue(answer.network), tsEcho(answer.network), answer.transport.checksum]).toEqual([123, OLD, 'ok']);
      const data = send(40_000, 'A', { value: OLD + 5, echo: 123, seq: 1001, ack: 5001, padding });
      expect([tsValue(data.network), tsEcho(data.network), data.transport.checksum]).toEqual([
        OLD + 5 + moved,
        123,
        'ok',
      ]);
    });

    it('an echo without ACK is nothing, and stays', () => {
      closeAll({ value: NEW });
      const { source } = send(40_000, 'S', { value: OLD }).transport;
      const reset = receive(source, 'R', { value: 9, echo: 77 });
      expect([tsEcho(reset.network), reset.transport.checksum]).toEqual([77, 'ok']);
    });

    it('a flow whose record was older is not moved, in either direction', () => {
      closeAll({ value: OLD });
      const { source } = send(40_000, 'S', { value: NEW }).transport;
      const answer = receive(source, 'SA', { value: 5, echo: NEW });
      expect([tsEcho(answer.network), answer.transport.checksum]).toEqual([NEW, 'ok']);
    });

    it('how ports were found is counted', () => {
      const before = counters();
      closeAll({ value: NEW });
      send(40_000, 'S', { value: OLD });
      send(41_000, 'S', { value: NEW + 1_000_000 });
      send(42_000, 'S', { seq: 1 });
      const after = counters();
      const difference = Object.fromEntries(
        Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]),
      );
      expect(difference).toMatchObject({ created: BLOCK + 3, reused: 3, shifted: 1, exhausted: 0 });
    });

    it('a port with a living connection is never taken', () => {
      for (let index = 0; index < BLOCK; index++) send(FIRST_PORT + index, 'S', { value: OLD });
      expect(parseFrame(get().run('a', mine(40_000, 'S', { value: NEW })).bytes)?.destination).toBe(w.a);
      expect(get().drops()).toEqual({ DROP_PORTS_EXHAUSTED: 1 });
    });
  });

  function counters(): Record<string, number> {
    const map = get().object.map('nat_counters');
    try {
      const cpus = [...map.scan()].flatMap(([, values]) => values);
      const names = ['created', 'reused', 'shifted', 'forced', 'exhausted'] as const;
      return Object.fromEntries(names.map((name) => [name, cpus.reduce((sum, cpu) => sum + Number(cpu[name]), 0)]));
    } finally {
      map.close();
    }
  }
});

/** Where the timestamp option begins in a TCP header. */
function optionAt({ body }: Network): number {
  let at = 20;
  const end = (body.readUInt8(12) >> 4) * 4;
  while (at < end && body[at] !== 8) at += body[at] === 1 ? 1 : (body[at + 1] ?? 1);
  if (at >= end) throw new Error('the segment has no timestamps');
  return at;
}

const tsValue = (network: Network): number => network.body.readUInt32BE(optionAt(network) + 2);
const tsEcho = (network: Network): number => network.body.readUInt32BE(optionAt(network) + 6);

function seen({ verdict, bytes }: Outcome): { network: Network; transport: Transport } {
  const network = parseFrame(bytes);
  const transport = network && parseTransport(network, bytes.subarray(14));
  if (verdict !== 'redirect' || network === undefined || transport === undefined)
    throw new Error(`the packet: ${verdict}`);
  return { network, transport };
}
