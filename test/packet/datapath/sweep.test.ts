// Removal of dead flows: by the timeouts of their state, in pairs, and never a live one.
import { expect, it } from 'vitest';
import { runWalk } from '../../../src/datapath/walk.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import { ageFlows } from '../../support/flow-state.js';
import { describeDatapath } from '../../support/packet-case.js';
import { from, NODE_PORT, PORTS, V4, V6 } from '../../support/world.js';

const PORT = PORTS.a + 64;

describeDatapath({ name: 'sweep', file: import.meta.filename }, (get) => {
  const ip = from('a').ip({ source: V4.a, destination: V4.remote });
  const answer = from('uplink').ip({ source: V4.remote, destination: V4.node });
  const udp = { source: 40_000, destination: 5353 };
  const back = { source: 5353, destination: PORT };

  function send(...flags: string[]): void {
    for (const each of flags) {
      const reply = each.startsWith('<');
      const packet = reply ? answer.tcp({ ...back, flags: each.slice(1) }) : ip.tcp({ ...udp, flags: each });
      expect(get().run(reply ? 'uplink' : 'a', packet).verdict).toBe('redirect');
    }
  }

  const age = (seconds: number, source?: string) => ageFlows(get().maps.flows, seconds, source);

  async function sweep(): Promise<void> {
    await runWalk(get().program('sweep_flows'));
  }

  const lives: readonly [string, number, () => void][] = [
    ['TCP that is opening', DEFAULT_TIMEOUTS.tcpOpening, () => send('S')],
    ['TCP that is established', DEFAULT_TIMEOUTS.tcpEstablished, () => send('S', '<SA', 'A')],
    ['TCP that one side closed', DEFAULT_TIMEOUTS.tcpEstablished, () => send('S', '<SA', 'FA')],
    ['TCP that both sides closed', DEFAULT_TIMEOUTS.tcpClosing, () => send('S', '<SA', 'FA', '<FA')],
    ['TCP that was reset', DEFAULT_TIMEOUTS.tcpClosing, () => send('S', '<R')],
    ['UDP without an answer', DEFAULT_TIMEOUTS.udpOneWay, () => get().run('a', ip.udp(udp))],
    [
      'UDP with an answer',
      DEFAULT_TIMEOUTS.udpTwoWay,
      () => [get().run('a', ip.udp(udp)), get().run('uplink', answer.udp(back))],
    ],
    [
      'UDP to a well-known port',
      DEFAULT_TIMEOUTS.udpWellKnown,
      () => [
        get().run('a', ip.udp({ ...udp, destination: 53 })),
        get().run('uplink', answer.udp({ ...back, source: 53 })),
      ],
    ],
    ['an echo', DEFAULT_TIMEOUTS.icmp, () => get().run('a', ip.echo({ id: 5 }))],
  ];

  it.each(lives)('%s lives for %i seconds, and no longer', async (_, timeout, open) => {
    open();
    age(timeout - 5);
    await sweep();
    expect(get().flows()).toHaveLength(2);
    age(5);
    await sweep();
    expect(get().flows()).toEqual([]);
  });

  it('keeps both entries while one direction is alive', async () => {
    send('S');
    age(DEFAULT_TIMEOUTS.tcpOpening + 1, V4.a);
    await sweep();
    expect(get().flows()).toHaveLength(2);
    age(DEFAULT_TIMEOUTS.tcpOpening + 1, V4.remote);
    await sweep();
    expect(get().flows()).toEqual([]);
  });

  it.each([V4.a, V4.remote])('removes half a pair, that of source %s, when its time has come', async (source) => {
    send('S');
    const { flows } = get().maps;
    for (const [key] of [...flows.scan()]) if (key.source !== source) flows.delete(key);
    await sweep();
    expect(get().flows()).toHaveLength(1);
    age(DEFAULT_TIMEOUTS.tcpOpening + 1);
    await sweep();
    expect(get().flows()).toEqual([]);
  });

  it('removes the dead among the living, of all families and kinds, and says how many', async () => {
    get().setService([{ address: V4.node, port: NODE_PORT, protocol: 17 }], [{ address: V4.b, port: 8053 }]);
    for (let index = 0; index < 300; index++) {
      const remote = `203.0.${index % 3}.${index % 250}`;
      get().run(
        'a',
        from('a')
          .ip({ source: V4.a, destination: remote })
          .udp({ source: 1000 + index, destination: 53 }),
      );
      get().run('b', from('b').ip({ source: V6.b, destination: V6.remote }).tcp({ source: index, destination: 80 }));
      get().run(
        'uplink',
        from('uplink').ip({ source: V4.remote, destination: V4.node }).udp({ source: index, destination: NODE_PORT }),
      );
    }
    const before = [...get().maps.flows.scan()].length;
    const total = get().maps.sweeps.get(0)?.removed_total ?? 0n;
    age(DEFAULT_TIMEOUTS.udpOneWay + 1);
    await sweep();
    const lines = get().flows();
    expect(lines.every((line) => line.startsWith('tcp '))).toBe(true);
    expect(lines).toHaveLength(2 * 256);
    const { walked, removed, removed_total, last } = get().maps.sweeps.get(0) ?? {};
    expect(removed).toBe(before - lines.length);
    expect(removed_total).toBe(total + BigInt(removed ?? 0));
    expect(walked).toBeGreaterThanOrEqual(before / 2);
    expect(Math.abs((last ?? 0) - Number(process.hrtime.bigint() / 1_000_000_000n))).toBeLessThan(2);
  });

  it('clears the table of a pod that is gone, and of nobody else', async () => {
    get().setService([{ address: V4.node, port: NODE_PORT, protocol: 17 }], [{ address: V4.b, port: 8053 }]);
    for (let index = 0; index < 100; index++) {
      get().run('a', from('a').ip({ source: V4.a, destination: V4.remote }).udp({ source: index, destination: 53 }));
      get().run('b', from('b').ip({ source: V6.b, destination: V6.remote }).tcp({ source: index, destination: 80 }));
      const client = { source: V4.remote, destination: V4.node };
      get().run('uplink', from('uplink').ip(client).udp({ source: index, destination: NODE_PORT }));
    }
    const others = get()
      .flows()
      .filter((line) => !line.includes(' b -> ') && !line.includes(' -> b '));
    expect([get().flows().length, others.length]).toEqual([600, 200]);
    const request = Buffer.alloc(4);
    request.writeUInt32LE(get().ifindex.b);
    await runWalk(get().program('sweep_endpoint'), request);
    expect(get().flows()).toEqual(others);
  });

  it('starts its timer as often as it is asked to', () => {
    for (let count = 0; count < 3; count++) expect(get().program('sweep_start').testRun({}).retval).toBe(0);
  });

  it('walks in pieces, and puts counts right that were wrong', async () => {
    const open = (index: number) => {
      const source = 1024 + Math.floor(index / 10);
      const flow = from('a').ip({ source: V4.a, destination: `203.0.113.${index % 10}` });
      get().run('a', flow.udp({ source, destination: 5353 }));
    };
    for (let index = 0; index < 1700; index++) open(index);
    const { flow_counts, flow_totals } = get().maps;
    expect(await runWalk(get().program('sweep_flows'))).toBeGreaterThan(1);
    expect(get().flows()).toHaveLength(3400);
    expect(get().maps.sweeps.get(0)).toMatchObject({ walked: 3400, removed: 0 });
    age(DEFAULT_TIMEOUTS.udpOneWay + 1);
    for (let index = 1700; index < 1710; index++) open(index);
    // As if they had been counted wrongly.
    flow_totals.set(0, { entries: 100_000 });
    const total = get().maps.sweeps.get(0)?.removed_total ?? 0n;
    await sweep();
    expect(get().flows()).toHaveLength(20);
    expect(get().maps.sweeps.get(0)).toMatchObject({ removed: 3400, removed_total: total + 3400n });
    expect(flow_totals.get(0)?.entries).toBe(20);
    expect(flow_counts.get(get().ifindex.a)).toMatchObject({ open: 10, unanswered: 10, closed: 0 });
  });

  it('walks by its timer', { timeout: 30_000 }, async () => {
    expect(get().program('sweep_start').testRun({}).retval).toBe(0);
    await sweep();
    send('S');
    age(DEFAULT_TIMEOUTS.tcpOpening + 1);
    const deadline = Date.now() + 25_000;
    while (get().flows().length > 0 && Date.now() < deadline) await new Promise((wake) => setTimeout(wake, 250));
    expect(get().flows()).toEqual([]);
  });
});
