// The state of connections (RFC 7857 section 2): who may end one, what keeps it alive, and for how long.
import { expect, it } from 'vitest';
import { FLOW_FLAGS } from '../../../src/datapath/types.gen.js';
import { runWalk } from '../../../src/datapath/walk.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import { blocks } from '../../support/datapath.js';
import { ageFlows, connectionState } from '../../support/flow-state.js';
import { ip, type Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { BLOCK, FAMILIES, from, into, NODE_PORT, PORTS, V4 } from '../../support/world.js';

const CLIENT = 40_000;
const PORT = PORTS.a + 64;
/** What the pod and the remote begin with. */
const MINE = 1000;
const THEIRS = 70_000;
const { tcpOpening, tcpEstablished, tcpClosing, udpOneWay, udpTwoWay } = DEFAULT_TIMEOUTS;
const { FLOW_RESET, FLOW_RESET_VALID } = FLOW_FLAGS;

/** One step: whose segment, its flags, and numbers that are not those of a connection without payload. */
type Step = readonly [who: 'pod' | 'remote', flags: string, numbers?: { seq?: number; ack?: number }];

const OPENED: readonly Step[] = [
  ['pod', 'S', { ack: 0 }],
  ['remote', 'SA', { seq: THEIRS }],
  ['pod', 'A'],
];

describeDatapath({ name: 'tracking', file: import.meta.filename }, (get) => {
  for (const [family, w] of FAMILIES) {
    const mine = (port = CLIENT) => ({ source: port, destination: 443, seq: MINE + 1, ack: THEIRS + 1 });
    const theirs = { source: 443, destination: PORT, seq: THEIRS + 1, ack: MINE + 1 };
    const entry = (of: 'pod' | 'remote') =>
      of === 'pod'
        ? { source: w.a, source_port: CLIENT, destination: w.remote, destination_port: 443, protocol: 6 }
        : { source: w.remote, source_port: 443, destination: w.node, destination_port: PORT, protocol: 6 };

    function send(...steps: readonly Step[]): void {
      for (const [who, flags, numbers] of steps) {
        const { packet, device, out } = segment(who, flags, numbers);
        expectOutcome(get().run(device, packet), 'redirect', out);
      }
    }

    /** A segment as it comes in and as it goes on. */
    function segment(who: 'pod' | 'remote', flags: string, numbers: Step[2] = {}) {
      if (who === 'pod') {
        const tcp = { ...mine(), ...(flags === 'S' ? { seq: MINE } : {}), ...numbers, flags };
        const leaves = from('a').ip({ source: w.node, destination: w.remote, ttl: 63 });
        const packet = from('a').ip({ source: w.a, destination: w.remote }).tcp(tcp);
        return { device: 'a' as const, packet, out: leaves.tcp({ ...tcp, source: PORT }) };
      }
      const tcp = { ...theirs, ...numbers, flags };
      const arrives = into('a').ip({ source: w.remote, destination: w.a, ttl: 63 });
      const packet = from('uplink').ip({ source: w.remote, destination: w.node }).tcp(tcp);
      return { device: 'uplink' as const, packet, out: arrives.tcp({ ...tcp, destination: CLIENT }) };
    }

    const state = () => connectionState(get().maps.flows, entry('pod'), entry('remote'));
    const age = (seconds: number) => ageFlows(get().maps.flows, seconds);

    async function lives(): Promise<boolean> {
      await runWalk(get().program('sweep_flows'));
      const entries = get().flows().length;
      expect([0, 2]).toContain(entries);
      return entries === 2;
    }

    /** That the flow ends so many seconds from now, and not before. */
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
      const syn = { ...mine(CLIENT + BLOCK), seq: 500_000, flags: 'S' };
      get().run('a', from('a').ip({ source: w.a, destination: w.remote }).tcp(syn));
      expect(get().flows()).toHaveLength(2);
      const refused = get().drops().DROP_PORTS_EXHAUSTED ?? 0;
      return refused === 0;
    }

    const closings: readonly { name: string; steps: readonly Step[]; state: string; life: number; free: boolean }[] = [
      {
        name: 'opened by the pod, not answered',
        steps: [['pod', 'S', { ack: 0 }]],
        state: '',
        life: tcpOpening,
        free: false,
      },
      {
        name: 'answered by no SYN',
        steps: [
          ['pod', 'S', { ack: 0 }],
          ['remote', 'A'],
        ],
        state: '',
        life: tcpOpening,
        free: false,
      },
      {
        name: 'opened by both at once',
        steps: [
          ['pod', 'S', { ack: 0 }],
          ['remote', 'S', { seq: THEIRS, ack: 0 }],
        ],
        state: 'seen_reply',
        life: tcpEstablished,
        free: false,
      },
      { name: 'established', steps: OPENED, state: 'seen_reply', life: tcpEstablished, free: false },
      {
        name: 'closed by the pod alone',
        steps: [...OPENED, ['pod', 'FA'], ['remote', 'A']],
        state: 'seen_reply fin_original',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'closed by the remote alone',
        steps: [...OPENED, ['remote', 'FA'], ['pod', 'A']],
        state: 'seen_reply fin_reply',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'closed by both, the remote first',
        steps: [...OPENED, ['remote', 'FA'], ['pod', 'FA'], ['remote', 'A']],
        state: 'seen_reply fin_original fin_reply',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'reset by the pod, whatever its numbers',
        steps: [...OPENED, ['pod', 'R', { seq: 5 }]],
        state: 'seen_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'reset by the remote where the pod expects it',
        steps: [...OPENED, ['remote', 'R']],
        state: 'seen_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'reset by the remote somewhat further',
        steps: [...OPENED, ['remote', 'RA', { seq: THEIRS + 65_000 }]],
        state: 'seen_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'reset behind a window',
        steps: [...OPENED, ['remote', 'RA', { seq: THEIRS + 66_000 }]],
        state: 'seen_reply reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'reset before what the pod acknowledged',
        steps: [...OPENED, ['remote', 'R', { seq: THEIRS }]],
        state: 'seen_reply reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'refused by the remote',
        steps: [
          ['pod', 'S', { ack: 0 }],
          ['remote', 'RA', { seq: 0 }],
        ],
        state: 'reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'refused by who does not know its SYN',
        steps: [
          ['pod', 'S', { ack: 0 }],
          ['remote', 'RA', { seq: 0, ack: MINE + 2 }],
        ],
        state: 'reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'refused without an acknowledgment',
        steps: [
          ['pod', 'S', { ack: 0 }],
          ['remote', 'R'],
        ],
        state: 'reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'reset first by a guess, then by the pod',
        steps: [...OPENED, ['remote', 'R', { seq: 5 }], ['pod', 'R']],
        state: 'seen_reply reset reset_valid',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'reset, and then spoken on by the remote',
        steps: [...OPENED, ['remote', 'R', { seq: 5 }], ['remote', 'PA']],
        state: 'seen_reply',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'reset, and then spoken on by the pod',
        steps: [...OPENED, ['remote', 'R', { seq: 5 }], ['pod', 'A']],
        state: 'seen_reply',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'reset by the pod, and then spoken on by the remote',
        steps: [...OPENED, ['pod', 'R'], ['remote', 'PA']],
        state: 'seen_reply',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'refused by a guess while the answer is on its way',
        steps: [
          ['pod', 'S', { ack: 0 }],
          ['remote', 'R', { seq: 5 }],
          ['remote', 'SA', { seq: THEIRS }],
        ],
        state: 'seen_reply',
        life: tcpEstablished,
        free: false,
      },
      {
        name: 'reset, and then sent a SYN by the remote',
        steps: [...OPENED, ['remote', 'R', { seq: 5 }], ['remote', 'S', { seq: 9 }]],
        state: 'seen_reply reset',
        life: tcpClosing,
        free: false,
      },
      {
        name: 'closed by both and then reset by a guess',
        steps: [...OPENED, ['remote', 'FA'], ['pod', 'FA'], ['remote', 'R', { seq: 5 }]],
        state: 'seen_reply fin_original fin_reply reset',
        life: tcpClosing,
        free: true,
      },
      {
        name: 'opened again by the pod after a reset',
        steps: [...OPENED, ['remote', 'R'], ['pod', 'S', { ack: 0 }]],
        state: '',
        life: tcpOpening,
        free: false,
      },
      {
        name: 'opened again by the pod after both closed',
        steps: [...OPENED, ['pod', 'FA'], ['remote', 'FA'], ['pod', 'S', { ack: 0 }]],
        state: '',
        life: tcpOpening,
        free: false,
      },
      {
        name: 'opened again, and refused by numbers of the connection before',
        steps: [...OPENED, ['pod', 'R'], ['pod', 'S', { seq: 9_000, ack: 0 }], ['remote', 'RA', { seq: 0 }]],
        state: 'reset',
        life: tcpClosing,
        free: false,
      },
    ];

    it.each(closings)(`${family}: a connection $name: '$state', $life s`, async ({ steps, state: wanted, life }) => {
      send(...steps);
      expect(state()).toBe(wanted);
      await expectLife(life);
    });

    it.each(closings)(`${family}: of a connection $name, the port is free: $free`, ({ steps, free }) => {
      send(...steps);
      expect(portIsFree()).toBe(free);
    });

    it(`${family}: a connection in use is known by what its pod acknowledged lately`, () => {
      send(...OPENED);
      age(2);
      send(['pod', 'A', { ack: THEIRS + 3_000_000 }], ['remote', 'R']);
      expect(state()).toBe('seen_reply reset');
      send(['remote', 'R', { seq: THEIRS + 3_000_000 }]);
      expect(state()).toBe('seen_reply reset reset_valid');
    });

    it(`${family}: numbers beyond 2^32 begin at 0 again`, () => {
      send(['pod', 'S', { seq: 0xffff_ffff, ack: 0 }], ['remote', 'RA', { seq: 0, ack: 0 }]);
      expect(state()).toBe('reset reset_valid');
      send(['pod', 'S', { ack: 0 }], ['remote', 'SA', { seq: 0xffff_fff0 }], ['remote', 'R', { seq: 10 }]);
      expect(state()).toBe('seen_reply reset reset_valid');
    });

    it(`${family}: a reset gives a connection that was silent for long its closing timeout`, async () => {
      send(...OPENED);
      age(6000);
      send(['remote', 'R', { seq: 5 }]);
      await expectLife(tcpClosing);
    });

    it(`${family}: no reset gives a connection more time than it had`, async () => {
      send(...OPENED);
      age(tcpEstablished - 100);
      for (let count = 0; count < 3; count++) send(['remote', 'R', { seq: 5 }]);
      await expectLife(100);
    });

    it.each(['pod', 'remote'] as const)(`${family}: resets of the %s keep nothing alive`, async (who) => {
      send(...OPENED, [who, 'R', { seq: 5 }]);
      for (let count = 0; count < 4; count++) {
        age(50);
        send([who, 'R', { seq: 5 }]);
      }
      await expectLife(tcpClosing - 200);
    });

    it(`${family}: an ICMP error neither ends a connection nor keeps it alive`, async () => {
      send(...OPENED);
      age(1000);
      for (const about of ['pod', 'remote'] as const) get().run(about === 'pod' ? 'uplink' : 'a', errorAbout(about));
      expect(get().drops()).toEqual({});
      expect(state()).toBe('seen_reply');
      await expectLife(tcpEstablished - 1000);
    });

    /** "Host unreachable", about what was sent by one side, as it was on the way. */
    function errorAbout(who: 'pod' | 'remote'): Packet {
      const ipv4 = w === V4;
      const [source, destination] = who === 'pod' ? [w.node, w.remote] : [w.remote, w.a];
      const ports = who === 'pod' ? { source: PORT, destination: 443 } : { source: 443, destination: CLIENT };
      const frame =
        who === 'pod'
          ? from('uplink').ip({ source: w.router, destination: w.node })
          : from('a').ip({ source: w.a, destination: w.remote });
      const quoted = ip({ source, destination }).tcp(ports).bytes();
      return (ipv4 ? frame.icmp4({ type: 3, code: 1 }) : frame.icmp6({ type: 1, code: 3 })).payload(quoted);
    }

    it(`${family}: a port whose flow speaks in one direction only is not free`, async () => {
      const udp = { source: CLIENT, destination: 5353 };
      const packet = from('a').ip({ source: w.a, destination: w.remote }).udp(udp);
      get().run('a', packet);
      age(udpOneWay - 5);
      get().run('a', packet); // refreshes its own entry alone
      age(udpOneWay - 5);
      const endpoint = get().maps.endpoints.get(w.a);
      if (endpoint !== undefined) get().maps.endpoints.set(w.a, { ...endpoint, ...blocks(1, PORT) });
      const before = get().flows();
      const another = from('a').ip({ source: w.a, destination: w.remote });
      get().run('a', another.udp({ ...udp, source: CLIENT + 1 }));
      expect(get().drops()).toEqual({ DROP_PORTS_EXHAUSTED: 1 });
      expect(get().flows()).toEqual(before);
      expect(await lives()).toBe(true);
    });

    it(`${family}: UDP is kept alive by each direction once both have sent`, async () => {
      const out = () => get().run('a', from('a').ip({ source: w.a, destination: w.remote }).udp(UDP));
      const back = { source: UDP.destination, destination: PORT };
      const answer = () => get().run('uplink', from('uplink').ip({ source: w.remote, destination: w.node }).udp(back));
      out();
      answer();
      for (const packet of [answer, answer, out, out]) {
        age(udpTwoWay - 5);
        expect(await lives()).toBe(true);
        packet();
      }
      await expectLife(udpTwoWay);
    });

    const UDP = { source: CLIENT, destination: 5353 };
  }

  it('knows a reset of a backend by its device, and one of a client by its numbers', () => {
    const vip = { address: V4.node, port: NODE_PORT, protocol: 6 };
    for (const [index, guess] of [false, true].entries()) {
      get().setService([vip], [{ address: V4.b, port: 8080 }]);
      const source = 5000 + index;
      const client = from('uplink').ip({ source: V4.remote, destination: V4.node });
      const backend = from('b').ip({ source: V4.b, destination: V4.remote });
      const there = { source, destination: NODE_PORT };
      const here = { source: 8080, destination: source };
      get().run('uplink', client.tcp({ ...there, flags: 'S', seq: MINE }));
      get().run('b', backend.tcp({ ...here, flags: 'SA', seq: THEIRS, ack: MINE + 1 }));
      get().run('uplink', client.tcp({ ...there, flags: 'R', seq: guess ? 5 : MINE + 1 }));
      expect(flagsOf(source)).toBe(guess ? 'reset' : 'reset reset_valid');
      get().run('uplink', client.tcp({ ...there, flags: 'A', seq: MINE + 1 }));
      expect(flagsOf(source)).toBe('');
      get().run('b', backend.tcp({ ...here, flags: 'R', seq: 5 }));
      expect(flagsOf(source)).toBe('reset reset_valid');
    }
  });

  function flagsOf(client: number): string {
    const [, flow] = [...get().maps.flows.scan()].find(([key]) => key.source_port === client) ?? [];
    const reset = Object.entries({ reset: FLOW_RESET, reset_valid: FLOW_RESET_VALID });
    const found = reset.filter(([, bit]) => bit & (flow?.flags ?? 0));
    return found.map(([name]) => name).join(' ');
  }
});
