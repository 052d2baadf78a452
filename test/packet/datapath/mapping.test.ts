// Endpoint-independent mappings: one port for all remotes, who may use it from outside, and pods that meet by it.
import { describe, expect, it } from 'vitest';
import { FILTERING, MAPPING_SIDE } from '../../../src/datapath/types.gen.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import type { Outcome } from '../../support/datapath.js';
import type { Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { type Network, parseFrame, parseTransport, type Transport } from '../../support/packet-text.js';
import { BLOCK, FAMILIES, from, into, PORTS } from '../../support/world.js';

const independent = { udp_endpoint_independent: 1, tcp_endpoint_independent: 1 };
const setups = {
  'address and port': { config: { ...independent, filtering: FILTERING.FILTERING_ADDRESS_AND_PORT } },
  address: { config: { ...independent, filtering: FILTERING.FILTERING_ADDRESS } },
  nobody: { config: { ...independent, filtering: FILTERING.FILTERING_NONE } },
};

/** Of a pod's socket, and what remotes see of it. */
interface Socket {
  readonly pod: 'a' | 'b';
  readonly port: number;
  readonly outside: number;
}

describeDatapath({ name: 'mapping', file: import.meta.filename, setups }, (get, setup) => {
  const filters = { known: setup !== 'address and port', stranger: setup === 'nobody' };
  const now = () => Number(process.hrtime.bigint() / 1_000_000_000n);

  describe.each(FAMILIES)('%s', (_, w) => {
    const udp = (pod: 'a' | 'b', source: number, [address, destination]: readonly [string, number]) =>
      from(pod).ip({ source: w[pod], destination: address }).udp({ source, destination }).payload('out');
    const inward = (address: string, source: number, destination: number) =>
      from('uplink').ip({ source: address, destination: w.node }).udp({ source, destination }).payload('in');
    const leaves = (packet: Packet, pod: 'a' | 'b' = 'a') => seen(get().run(pod, packet));
    const open = (pod: 'a' | 'b', port: number, remote: readonly [string, number] = [w.remote, 53]): Socket => {
      return { pod, port, outside: leaves(udp(pod, port, remote), pod).transport.source };
    };
    const entries = (side: number) => [...get().maps.mappings.scan()].filter(([key]) => key.side === side);
    // The programs' clock is that of ticks, which come a little late: it may still show the second before.
    const forget = (side: number) => {
      for (const [key, value] of entries(side)) get().maps.mappings.set(key, { ...value, expires: now() - 1 });
    };

    it('a socket has one port for three remotes, in its block', () => {
      const ports = [
        [w.remote, 53],
        [w.remote, 54],
        [w.remote2, 53],
      ] as const;
      const outside = ports.map((remote) => open('a', 40_000, remote).outside);
      expect(new Set(outside).size).toBe(1);
      expect(outside[0]).toBeGreaterThanOrEqual(PORTS.a);
      expect(outside[0]).toBeLessThan(PORTS.a + BLOCK);
    });

    it('TCP has a port of its own for all remotes, too', () => {
      const syn = (destination: string) =>
        from('a').ip({ source: w.a, destination }).tcp({ source: 40_000, destination: 443 });
      const outside = [w.remote, w.remote2].map((remote) => leaves(syn(remote)).transport.source);
      expect(outside[0]).toBe(outside[1]);
      expect(entries(MAPPING_SIDE.MAPPING_OUTSIDE).map(([{ protocol }]) => protocol)).toEqual([6]);
    });

    it('no port serves two sockets, whatever they send to', () => {
      const outside = [0, 1, 2].map(
        (index) => open('a', 40_000 + index * BLOCK, index ? [w.remote2, 53] : undefined).outside,
      );
      expect(new Set(outside).size).toBe(3);
    });

    it('a full block refuses the next socket, and serves those that have a port', () => {
      for (let index = 0; index < BLOCK; index++) open('a', 20_000 + index);
      const refused = get().run('a', udp('a', 30_000, [w.remote2, 53]));
      expect(parseFrame(refused.bytes)?.destination).toBe(w.a);
      expect(get().drops()).toEqual({ DROP_PORTS_EXHAUSTED: 1 });
      expect(open('a', 20_000, [w.remote2, 53]).outside).toBe(open('a', 20_000).outside);
    });

    it('a mapping is named from both sides, and by whom it has sent to', () => {
      const { outside } = open('a', 40_000);
      const end = expect.toSatisfy((value: number) => Math.abs(value - now() - DEFAULT_TIMEOUTS.udpWellKnown) < 3);
      const key = { remote: '::', remote_port: 0, protocol: 17 };
      expect([...get().maps.mappings.scan()].filter(([{ side }]) => side !== MAPPING_SIDE.MAPPING_CONTACT)).toEqual(
        expect.arrayContaining([
          [
            { ...key, address: w.a, port: 40_000, side: MAPPING_SIDE.MAPPING_INSIDE },
            { address: w.node, port: outside, expires: end },
          ],
          [
            { ...key, address: w.node, port: outside, side: MAPPING_SIDE.MAPPING_OUTSIDE },
            { address: w.a, port: 40_000, expires: end },
          ],
        ]),
      );
      const contacts = entries(MAPPING_SIDE.MAPPING_CONTACT).map(([contact]) => [
        contact.port,
        contact.remote,
        contact.remote_port,
      ]);
      expect(contacts).toEqual(setup === 'address' ? [[outside, w.remote, 0]] : []);
    });

    it('a flow to a new remote keeps the mapping alive', () => {
      open('a', 40_000);
      for (const side of [MAPPING_SIDE.MAPPING_INSIDE, MAPPING_SIDE.MAPPING_OUTSIDE]) forget(side);
      open('a', 40_000, [w.remote2, 5353]);
      for (const side of [MAPPING_SIDE.MAPPING_INSIDE, MAPPING_SIDE.MAPPING_OUTSIDE]) {
        const ends = entries(side).map(([, { expires }]) => expires - now());
        expect(ends).toEqual([expect.toSatisfy((end: number) => Math.abs(end - DEFAULT_TIMEOUTS.udpOneWay) < 3)]);
      }
    });

    it.each([
      ['the remote itself', () => w.remote, 53, true],
      ['another port of the remote', () => w.remote, 9999, filters.known],
      ['a stranger', () => w.remote2, 53, filters.stranger],
    ])('%s', (_name, address, port, admitted) => {
      const { outside } = open('a', 40_000);
      const packet = inward(address(), port, outside);
      const wanted = into('a')
        .ip({ source: address(), destination: w.a, ttl: 63 })
        .udp({ source: port, destination: 40_000 });
      const outcome = get().run('uplink', packet);
      if (admitted) expectOutcome(outcome, 'redirect', wanted.payload('in'));
      else expectOutcome(outcome, 'drop', packet);
      expect(get().drops()).toEqual(admitted ? {} : { DROP_FILTERED: 1 });
      expect(get().flows()).toHaveLength(admitted && port === 53 && address() === w.remote ? 2 : admitted ? 4 : 2);
    });

    it('who was let in is answered by the same port', () => {
      const { outside } = open('a', 40_000);
      get().run('uplink', inward(w.remote2, 777, outside));
      const answer = leaves(udp('a', 40_000, [w.remote2, 777]));
      expect([answer.network.source, answer.transport.source]).toEqual([w.node, outside]);
    });

    it('a mapping whose time is over lets nobody in', () => {
      const { outside } = open('a', 40_000);
      forget(MAPPING_SIDE.MAPPING_OUTSIDE);
      expect(get().run('uplink', inward(w.remote, 9999, outside)).verdict).toBe('drop');
      expect(get().drops()).toEqual({ DROP_NO_FLOW: 1 });
    });

    it('a remote that was sent to long ago is a stranger', () => {
      const { outside } = open('a', 40_000);
      forget(MAPPING_SIDE.MAPPING_CONTACT);
      get().run('uplink', inward(w.remote, 9999, outside));
      expect(get().drops()).toEqual(filters.stranger ? {} : { DROP_FILTERED: 1 });
    });

    it.each(['A', 'SA', 'RA', 'FA'])('a TCP segment %s from outside begins nothing', (flags) => {
      const syn = from('a').ip({ source: w.a, destination: w.remote }).tcp({ source: 40_000, destination: 443 });
      const outside = leaves(syn).transport.source;
      const frame = from('uplink').ip({ source: w.remote, destination: w.node });
      expect(get().run('uplink', frame.tcp({ source: 9999, destination: outside, flags })).verdict).toBe('drop');
      expect(get().drops()).toEqual({ DROP_NO_FLOW: 1 });
      expect(get().flows()).toHaveLength(2);
    });

    describe('between pods of a node', () => {
      const toward = (one: Socket, other: Socket) => udp(one.pod, one.port, [w.node, other.outside]);
      const arrived = (one: Socket, other: Socket) =>
        into(other.pod)
          .ip({ source: w.node, destination: w[other.pod], ttl: 63 })
          .udp({ source: one.outside, destination: other.port })
          .payload('out');

      it.each([
        ['two pods', 'b'],
        ['two sockets of a pod', 'a'],
      ] as const)('%s that send to each other meet, by their outside names', (_name, second) => {
        const [one, other] = [open('a', 40_000), open(second, 50_001)];
        const first = get().run(one.pod, toward(one, other));
        if (filters.stranger) expectOutcome(first, 'redirect', arrived(one, other));
        else expectOutcome(first, 'drop', toward(one, other));
        expectOutcome(get().run(other.pod, toward(other, one)), 'redirect', arrived(other, one));
        expectOutcome(get().run(one.pod, toward(one, other)), 'redirect', arrived(one, other));
        expect(get().drops()).toEqual(filters.stranger ? {} : { DROP_FILTERED: 1 });
      });

      it('one that is refused leaves no flow, but a contact', () => {
        const [one, other] = [open('a', 40_000), open('b', 50_001)];
        const before = get().flows();
        get().run(one.pod, toward(one, other));
        expect(get().flows()).toHaveLength(before.length + (filters.stranger ? 2 : 0));
        const contacts = entries(MAPPING_SIDE.MAPPING_CONTACT).filter(([{ remote }]) => remote === w.node);
        const remotePort = setup === 'address' ? 0 : other.outside;
        expect(contacts.map(([key]) => [key.port, key.remote_port])).toEqual(
          filters.stranger ? [] : [[one.outside, remotePort]],
        );
      });

      it('a third pod socket is not let in by what two others said', () => {
        const [one, other, third] = [open('a', 40_000), open('b', 50_001), open('a', 40_002)];
        get().run(other.pod, toward(other, one));
        get().run(third.pod, toward(third, other));
        const wanted =
          setup === 'address and port' ? { DROP_FILTERED: 2 } : setup === 'address' ? { DROP_FILTERED: 1 } : {};
        expect(get().drops()).toEqual(wanted);
      });
    });
  });
});

function seen({ verdict, bytes }: Outcome): { network: Network; transport: Transport } {
  const network = parseFrame(bytes);
  const transport = network && parseTransport(network, bytes.subarray(14));
  if (verdict !== 'redirect' || network === undefined || transport === undefined)
    throw new Error(`the packet: ${verdict}`);
  return { network, transport };
}
