// An entry's life: what it counts, what it knows of its connection, and where it finds its way out.
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { icmpAnswer } from '../../support/answers.js';
import { ageFlows, changeFlows } from '../../support/flow-state.js';
import { egressPair } from '../../support/flow-text.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { FAMILIES, from, into, PORTS } from '../../support/world.js';

const PORT = PORTS.a + 64;

describeDatapath({ name: 'flow', file: import.meta.filename }, (get) => {
  for (const [family, w] of FAMILIES) {
    const mine = (flags: string) =>
      from('a').ip({ source: w.a, destination: w.remote }).tcp({ source: 40_000, destination: 443, flags });
    const theirs = (flags: string) =>
      from('uplink').ip({ source: w.remote, destination: w.node }).tcp({ source: 443, destination: PORT, flags });
    const pair = (state: string) => egressPair(w, { protocol: 'tcp', port: 40_000, translated: PORT, state });
    const key = { source: w.a, source_port: 40_000, destination: w.remote, destination_port: 443, protocol: 6 };
    const replyKey = { source: w.remote, source_port: 443, destination: w.node, destination_port: PORT, protocol: 6 };
    const now = () => Number(process.hrtime.bigint() / 1_000_000_000n);
    const defaultRoute = (...more: string[]) =>
      execFileSync('ip', [family === 'IPv4' ? '-4' : '-6', 'route', 'replace', 'default', ...more]);

    const age = (seconds: number) => ageFlows(get().maps.flows, seconds);

    it(`${family}: counts packets and bytes of each direction, and the time of the last`, () => {
      const size = mine('A').bytes().length - 14;
      for (const packet of [mine('S'), mine('A').payload(100), mine('A')]) get().run('a', packet);
      get().run('uplink', theirs('SA').payload(7));
      const there = get().maps.flows.get(key);
      expect(there).toMatchObject({ packets: 3n, bytes: BigInt(3 * size + 100) });
      expect(get().maps.flows.get(replyKey)).toMatchObject({ packets: 1n, bytes: BigInt(size + 7) });
      for (const time of [there?.seen, there?.created, there?.resolved])
        expect(Math.abs((time ?? 0) - now())).toBeLessThan(2);
    });

    const steps = [
      ['a', 'S', ''],
      ['uplink', 'SA', 'seen_reply'],
      ['a', 'A', 'seen_reply'],
      ['a', 'FA', 'seen_reply fin_original'],
      ['uplink', 'A', 'seen_reply fin_original'],
      ['uplink', 'FA', 'seen_reply fin_original fin_reply'],
      ['a', 'A', 'seen_reply fin_original fin_reply'],
      ['a', 'S', ''],
      ['uplink', 'R', 'reset'],
      ['uplink', 'S', 'seen_reply reset'],
      ['a', 'S', ''],
    ] as const;
    it(`${family}: both entries know the state of the connection, step by step`, () => {
      for (const [index, [device, flags, state]] of steps.entries()) {
        expect(get().run(device, device === 'a' ? mine(flags) : theirs(flags)).verdict).toBe('redirect');
        expect([index, ...get().flows()]).toEqual([index, ...pair(state)]);
      }
    });

    it(`${family}: a connection that opens again is created again`, () => {
      for (const flags of ['S', 'R']) get().run('a', mine(flags));
      const { flows } = get().maps;
      changeFlows(flows, () => ({ created: 7 }));
      get().run('a', mine('S'));
      const times = [...flows.scan()].map(([, { created }]) => Math.abs(created - now()));
      expect(times.every((seconds) => seconds < 2)).toBe(true);
    });

    it(`${family}: an answer at a device where the flow does not live is dropped`, () => {
      get().run('a', mine('S'));
      const { flows } = get().maps;
      const reply = flows.get(replyKey);
      if (reply !== undefined) flows.set(replyKey, { ...reply, ifindex_in: get().ifindex.b });
      expectOutcome(get().run('uplink', theirs('SA')), 'drop', theirs('SA'));
      expect(get().drops()).toEqual({ DROP_WRONG_DEVICE: 1 });
    });

    it(`${family}: what is left of a former owner's flow gives way to the new owner of its address`, () => {
      get().run('a', mine('S'));
      const { endpoints } = get().maps;
      const pod = endpoints.get(w.b);
      if (pod !== undefined) endpoints.set(w.a, pod); // the address is now behind device b, with b's block
      const syn = from('b').ip({ source: w.a, destination: w.remote }).tcp({ source: 40_000, destination: 443 });
      const leaves = from('b').ip({ source: w.node, destination: w.remote, ttl: 63 });
      const translated = PORTS.b + 64;
      expectOutcome(get().run('b', syn), 'redirect', leaves.tcp({ source: translated, destination: 443 }));
      const key = { protocol: 'tcp', port: 40_000, translated };
      const wanted = egressPair({ ...w, b: w.a }, { ...key, pod: 'b' });
      expect(get().flows()).toEqual(wanted);
      expect(get().drops()).toEqual({});
    });

    it(`${family}: the way out is asked for again when a second has passed`, () => {
      const other = w.router.replace(/1$/, '9');
      get().run('a', mine('S'));
      // The kernel tells the MTU of a next hop that it knows the MAC of.
      execFileSync('ip', ['neigh', 'replace', other, 'lladdr', '02:00:00:00:00:98', 'dev', 'ist-up']);
      defaultRoute('via', other, 'mtu', 'lock', '1300');
      try {
        age(2);
        get().run('a', mine('A'));
        expect(get().maps.flows.get(key)).toMatchObject({ next_hop: other, mtu: 1300 });
        const large = mine('A').payload(1400);
        expectOutcome(
          get().run('a', large),
          'redirect',
          icmpAnswer('a', large, { kind: 'tooBig', from: w.node, mtu: 1300 }),
        );
      } finally {
        defaultRoute('via', w.router);
      }
    });

    it(`${family}: a way out that has gone is said to be unreachable, and serves again when it is back`, () => {
      get().run('a', mine('S'));
      const blocked = w.remote;
      execFileSync('ip', ['route', 'add', 'unreachable', blocked]);
      try {
        age(2);
        expectOutcome(
          get().run('a', mine('A')),
          'redirect',
          icmpAnswer('a', mine('A'), { kind: 'netUnreachable', from: w.node }),
        );
        expect(get().drops()).toEqual({ DROP_NO_ROUTE: 1 });
      } finally {
        execFileSync('ip', ['route', 'del', 'unreachable', blocked]);
      }
      age(2);
      const leaves = from('a').ip({ source: w.node, destination: w.remote, ttl: 63 });
      expectOutcome(get().run('a', mine('A')), 'redirect', leaves.tcp({ source: PORT, destination: 443, flags: 'A' }));
    });

    it(`${family}: an answer that is too big for the pod is answered`, () => {
      get().run('a', mine('S'));
      const { flows } = get().maps;
      const reply = flows.get(replyKey);
      if (reply !== undefined) flows.set(replyKey, { ...reply, mtu: 1400 });
      const large = theirs('A').payload(1420);
      expectOutcome(
        get().run('uplink', large),
        'redirect',
        icmpAnswer('uplink', large, { kind: 'tooBig', from: w.node, mtu: 1400 }),
      );
      expect(get().drops()).toEqual({ DROP_TOO_BIG: 1 });
    });

    it(`${family}: an answer whose hops are used up is answered`, () => {
      get().run('a', mine('S'));
      const expired = from('uplink')
        .ip({ source: w.remote, destination: w.node, ttl: 1 })
        .tcp({ source: 443, destination: PORT });
      expectOutcome(
        get().run('uplink', expired),
        'redirect',
        icmpAnswer('uplink', expired, { kind: 'timeExceeded', from: w.node }),
      );
    });

    it(`${family}: segments of a large buffer pass in both directions`, () => {
      get().run('a', mine('S'));
      const arrives = into('a').ip({ source: w.remote, destination: w.a, ttl: 63 });
      const outcome = get().run('uplink', theirs('A').payload(2800), { gsoSize: 1400 });
      expectOutcome(outcome, 'redirect', arrives.tcp({ source: 443, destination: 40_000, flags: 'A' }).payload(2800));
    });
  }
});
