// Who may still begin a flow when the table is nearly full.
import { expect, it } from 'vitest';
import { runWalk } from '../../../src/datapath/walk.js';
import { DEFAULT_TIMEOUTS } from '../../../src/model/network.js';
import { icmpAnswer } from '../../support/answers.js';
import type { Setup } from '../../support/datapath.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { BLOCK, from, NODE_PORT, V4, V6 } from '../../support/world.js';

/** Room for 500 flows; more than 450 are too many, and 125 are a pod's part of them then. */
const FLOWS = 500;
const PRESSURE = 450;
const PART = 125;
const UNANSWERED = 20;
const setups: Record<string, Setup> = {
  'room for 500 flows': { flowEntries: 2 * FLOWS, config: { unanswered_limit: UNANSWERED } },
};

describeDatapath({ name: 'admission', file: import.meta.filename, setups }, (get) => {
  /** A pod's segment; every so many ports another remote, so that no block is used up. */
  function segment(pod: 'a' | 'b', index: number, flags = 'S') {
    const destination = `203.0.113.${1 + Math.floor(index / 200)}`;
    return from(pod)
      .ip({ source: V4[pod], destination })
      .tcp({ source: 10_000 + index, destination: 443, flags, seq: flags === 'S' ? 1000 : 1001 });
  }

  const open = (pod: 'a' | 'b', index: number) => get().run(pod, segment(pod, index)).bytes;

  function expectPasses(pod: 'a' | 'b', index: number): void {
    const bytes = open(pod, index);
    expect([bytes.readUInt8(23), get().drops()]).toEqual([6, {}]);
  }

  function expectRefused(pod: 'a' | 'b', index: number, drop: string): void {
    const before = get().flows();
    const packet = segment(pod, index);
    expectOutcome(get().run(pod, packet), 'redirect', icmpAnswer(pod, packet, { kind: 'prohibited', from: V4.node }));
    expect(get().drops()).toEqual({ [drop]: 1 });
    expect(get().flows()).toEqual(before);
    get().maps.drops.deleteMany([...get().maps.drops.scan()].map(([key]) => key));
  }

  /** The server's answer to what a SYN left as. */
  function answer(left: Buffer): void {
    const [source, destination] = [left.readUInt16BE(36), left.readUInt16BE(34)];
    const remote = [...left.subarray(30, 34)].join('.');
    const packet = from('uplink').ip({ source: remote, destination: V4.node });
    get().run('uplink', packet.tcp({ source, destination, flags: 'SA', ack: 1001 }));
  }

  const count = (device: 'a' | 'b' | 'uplink') => {
    const {
      open: opened = 0,
      unanswered = 0,
      closed = 0,
      refused = 0n,
    } = get().maps.flow_counts.get(get().ifindex[device]) ?? {};
    return { open: opened, unanswered, closed, refused: Number(refused) };
  };

  const entries = () => get().maps.flow_totals.get(0)?.entries;

  it('counts flows by their pod, as they open, are answered, end and go', async () => {
    const left = [0, 1, 2].map((index) => open('a', index));
    expect(count('a')).toEqual({ open: 3, unanswered: 3, closed: 0, refused: 0 });
    for (const bytes of left.slice(0, 2)) answer(bytes);
    expect(count('a')).toEqual({ open: 3, unanswered: 1, closed: 0, refused: 0 });
    get().run('a', segment('a', 0, 'R'));
    expect(count('a')).toEqual({ open: 2, unanswered: 1, closed: 1, refused: 0 });
    get().run('a', segment('a', 0, 'A'));
    expect(count('a')).toEqual({ open: 3, unanswered: 1, closed: 0, refused: 0 });
    for (const flags of ['R', 'S']) get().run('a', segment('a', 0, flags));
    expect(count('a')).toEqual({ open: 3, unanswered: 2, closed: 0, refused: 0 });
    open('b', 7);
    expect([count('b').open, entries()]).toEqual([1, 8]);
    const { flows } = get().maps;
    for (const [key, flow] of [...flows.scan()]) {
      flows.set(key, { ...flow, seen: (flow.seen - DEFAULT_TIMEOUTS.tcpOpening - 1) >>> 0 });
    }
    await runWalk(get().program('sweep_flows'));
    expect(count('a')).toEqual({ open: 1, unanswered: 0, closed: 0, refused: 0 });
    expect([count('b').open, entries()]).toEqual([0, 2]);
  });

  it('one pod has one count for both families', () => {
    open('a', 0);
    get().run('a', from('a').ip({ source: V6.a, destination: V6.remote }).udp({ source: 1, destination: 5353 }));
    expect(count('a')).toMatchObject({ open: 2, unanswered: 2 });
  });

  it('wrong counts are put right by the next walk', async () => {
    for (let index = 0; index < 10; index++) open('a', index);
    const wrong = { open: 9000, unanswered: 8000, closed: 7000, refused: 5n };
    get().maps.flow_counts.set(get().ifindex.a, { ...wrong, walk_open: 0, walk_unanswered: 0, walk_closed: 0 });
    get().maps.flow_totals.set(0, { entries: 100_000 });
    await runWalk(get().program('sweep_flows'));
    expect(count('a')).toEqual({ open: 10, unanswered: 10, closed: 0, refused: 5 });
    expect(entries()).toBe(20);
  });

  it('a pod that is gone is counted no more', async () => {
    for (let index = 0; index < 10; index++) open('a', index);
    open('b', 0);
    const request = Buffer.alloc(4);
    request.writeUInt32LE(get().ifindex.a);
    await runWalk(get().program('sweep_endpoint'), request);
    expect(get().maps.flow_counts.get(get().ifindex.a)).toBeUndefined();
    expect([count('b').open, entries()]).toEqual([1, 2]);
  });

  it('while there is room, unanswered flows are no more than flows', () => {
    for (let index = 0; index <= PRESSURE; index++) expectPasses('a', index);
  });

  /** As many unanswered flows of a pod as make the table nearly full. */
  function fill(pod: 'a' | 'b'): Buffer[] {
    const left = Array.from({ length: PRESSURE + 1 }, (_, index) => open(pod, index));
    expect(entries()).toBe(2 * (PRESSURE + 1));
    return left;
  }

  it('who has filled the table begins no more flows, and a pod that has few does', () => {
    fill('a');
    expectRefused('a', PRESSURE + 1, 'DROP_FLOW_PRESSURE');
    for (let index = 0; index < UNANSWERED; index++) expectPasses('b', index);
    expect(count('a').refused).toBe(1);
  });

  it('a pod with too many unanswered flows waits for an answer', () => {
    fill('a');
    const left = Array.from({ length: UNANSWERED }, (_, index) => open('b', index));
    expectRefused('b', UNANSWERED, 'DROP_FLOW_PRESSURE');
    answer(left[3] ?? Buffer.alloc(0));
    expectPasses('b', UNANSWERED);
    expectRefused('b', UNANSWERED + 1, 'DROP_FLOW_PRESSURE');
  });

  it('a pod with a quarter of the table begins no more flows, answered or not', () => {
    for (let index = 0; index < PART; index++) answer(open('b', index));
    for (let index = 0; index <= PRESSURE - PART; index++) open('a', index);
    expect(count('b')).toMatchObject({ open: PART, unanswered: 0 });
    expectRefused('b', PART, 'DROP_FLOW_PRESSURE');
  });

  it('what is established goes on, and its port stays', () => {
    fill('a');
    const left = open('b', 0);
    answer(left);
    expectRefused('a', PRESSURE + 1, 'DROP_FLOW_PRESSURE');
    const { bytes, verdict } = get().run('b', segment('b', 0, 'A'));
    expect([verdict, bytes.readUInt16BE(34)]).toEqual(['redirect', left.readUInt16BE(34)]);
    expect(get().drops()).toEqual({});
  });

  it('a flow that has ended gives its place to another of its pod', () => {
    fill('a');
    get().run('a', segment('a', 0, 'R'));
    // The same port modulo the block, so that it is looked at first.
    const index = BLOCK;
    const destination = '203.0.113.1';
    const syn = from('a')
      .ip({ source: V4.a, destination })
      .tcp({ source: 10_000 + index, destination: 443 });
    expect(get().run('a', syn).bytes.readUInt8(23)).toBe(6);
    expect([get().drops(), entries()]).toEqual([{}, 2 * (PRESSURE + 1)]);
    expect(count('a')).toMatchObject({ open: PRESSURE + 1, closed: 0 });
  });

  it('who is outside gets no answer, and does not keep pods out', () => {
    get().setService([{ address: V4.node, port: NODE_PORT, protocol: 6 }], [{ address: V4.b, port: 8080 }]);
    const flood = (index: number) =>
      from('uplink')
        .ip({ source: `198.51.100.${index % 250}`, destination: V4.node })
        .tcp({ source: 1000 + index, destination: NODE_PORT });
    for (let index = 0; index <= PRESSURE; index++) get().run('uplink', flood(index));
    expect(count('uplink')).toMatchObject({ open: PRESSURE + 1, unanswered: PRESSURE + 1 });
    expectOutcome(get().run('uplink', flood(PRESSURE + 1)), 'drop', flood(PRESSURE + 1));
    expect(get().drops()).toEqual({ DROP_FLOW_PRESSURE: 1 });
    expect(open('a', 0).readUInt8(23)).toBe(6);
  });
});
