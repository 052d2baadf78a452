// A small table, a thousand long-lived flows, and millions that come and go around them from two CPUs at once.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { NatCounter } from '../../../src/datapath/types.gen.js';
import { Churn } from '../../support/churn.js';
import { describeIsolated } from '../../support/isolated.js';
import { parseFrame } from '../../support/packet-text.js';
import { from, V4 } from '../../support/world.js';

/** A round of ISTHMUS_CHURN_FLOWS=10000000 takes about a minute. */
const FLOWS = Number(process.env.ISTHMUS_CHURN_FLOWS ?? 1_000_000);
const TIMEOUT_MS = 60_000 + FLOWS / 10;
const ENTRIES = 65_536;
const LONG_LIVED = 1000;
/** Of an IPv4 frame. */
const TCP_SOURCE_AT = 34;
/** Flows of one lane and round; two lanes and what stays open leave a tenth of the table. */
const ROUND = 8192;
/** Seconds between two rounds: more than any timeout but that of established TCP. */
const PAUSE = 250;
/** SWEEP_SLACK, of each of two pods and the uplink, in entries. */
const SLACK = 2 * 3 * 256;
/** Milliseconds in which the kernel walks by itself, also on a busy machine. */
const WALK_WAIT = 15_000;
/** Rounds after which the long-lived flows speak. */
const SPEAK = 20;

describeIsolated('churn', import.meta.filename, () => {
  let churn: Churn;
  beforeAll(async () => {
    churn = await Churn.open({ flowEntries: ENTRIES });
  });
  beforeEach(() => churn.datapath.reset());
  afterAll(() => churn[Symbol.dispose]());

  const remote = (index: number) => `203.0.113.${1 + (index % 250)}`;
  const client = (index: number, flags: string) =>
    from('a')
      .ip({ source: V4.a, destination: remote(index) })
      .tcp({ source: 2000 + index, destination: 22, flags });

  /** Sends a segment of each long-lived flow; returns the ports that they leave by. */
  function speak(flags: string): number[] {
    return Array.from({ length: LONG_LIVED }, (_, index) => {
      const { verdict, bytes } = churn.datapath.run('a', client(index, flags));
      const ip = parseFrame(bytes);
      expect([index, verdict, ip?.source, ip?.destination]).toEqual([index, 'redirect', V4.node, remote(index)]);
      return bytes.readUInt16BE(TCP_SOURCE_AT);
    });
  }

  function establish(): number[] {
    const ports = speak('S');
    ports.forEach((port, index) => {
      const answer = from('uplink').ip({ source: remote(index), destination: V4.node });
      churn.datapath.run('uplink', answer.tcp({ source: 22, destination: port, flags: 'SA', ack: 1001 }));
    });
    expect(speak('A')).toEqual(ports);
    return ports;
  }

  function created(): number {
    const counters = churn.datapath.object.map('nat_counters');
    const perCpu = counters.get(0) as unknown as readonly NatCounter[];
    counters.close();
    return perCpu.reduce((sum, one) => sum + Number(one.created), 0);
  }

  /** Rounds of flows until so many were created, by two pods or by two sockets of one. */
  async function run(between: () => Promise<unknown> = async () => undefined): Promise<void> {
    const before = created();
    for (let round = 1, first = 0; created() - before < FLOWS; round++, first += ROUND) {
      if (round > (4 * FLOWS) / ROUND) throw new Error(`${created() - before} flows in ${round} rounds`);
      const lanes = [
        churn.run(0, 'a', { first, count: ROUND }),
        churn.run(1, round % 2 ? 'b' : 'a', { first, count: ROUND }),
      ];
      await Promise.all([...lanes, between()]);
      await churn.age(PAUSE);
      if (round % SPEAK === 0) speak('A');
    }
  }

  async function expectAllRight(ports: readonly number[]): Promise<void> {
    expect(speak('A')).toEqual(ports);
    expect(await churn.count()).toMatchObject({ halves: 0 });
    await churn.age(PAUSE);
    speak('A');
    // Twice, because the timer may have walked at the same time as the first, and counted as well.
    for (let walk = 0; walk < 2; walk++) await churn.sweep();
    const { entries, halves } = await churn.count();
    expect(halves).toBe(0);
    expect(entries).toBeGreaterThanOrEqual(2 * LONG_LIVED);
    expectCounts(entries);
  }

  /** What is counted as flows come and go is what is there, or the walk would have put it right. */
  function expectCounts(entries: number): void {
    const { flow_totals, flow_counts } = churn.datapath.maps;
    const counts = [...flow_counts.scan()].map(([, count]) => count);
    const counted = counts.reduce((sum, { open, closed }) => sum + open + closed, 0);
    for (const wrong of [(flow_totals.get(0)?.entries ?? 0) - entries, 2 * counted - entries]) {
      expect(Math.abs(wrong)).toBeLessThanOrEqual(SLACK + entries / 8);
    }
  }

  it(`${FLOWS} flows leave a thousand old ones alone and no half of a pair behind`, {
    timeout: TIMEOUT_MS,
  }, async () => {
    const ports = establish();
    await run(async () => {
      await churn.sweep();
      await churn.sweep();
    });
    await expectAllRight(ports);
  });

  it('also when no agent asks for dead flows to be removed, and only the timer does', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { sweeps } = churn.datapath.maps;
    expect(churn.datapath.program('sweep_start').testRun({}).retval).toBe(0);
    const ports = establish();
    const before = sweeps.get(0)?.removed_total ?? 0n;
    await run();
    // What died is taken over by new flows as well, and a quick machine may be done before the timer's first walk.
    await expect.poll(() => sweeps.get(0)?.removed_total, { timeout: WALK_WAIT }).toBeGreaterThan(before);
    await expectAllRight(ports);
  });
});
