// Tables of packets: what is there, what comes in, and all that happens then.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DropName, type Outcome, type Setup, TestDatapath, type Verdict } from './datapath.js';
import { describeIsolated } from './isolated.js';
import type { Packet } from './packet.js';
import { printFrame } from './packet-text.js';
import type { Device } from './world.js';

export interface PacketCase {
  /** A sentence. */
  readonly name: string;
  readonly from: Device;
  /** What happened before; its drops count, too. */
  readonly given?: (datapath: TestDatapath) => void;
  readonly in: Packet | Buffer;
  readonly gsoSize?: number;
  readonly verdict: Verdict;
  /** As it came in when absent. */
  readonly out?: Packet | Buffer;
  /** None when absent. */
  readonly drops?: Partial<Record<DropName, number>>;
  /** Every entry, sorted; none when absent; not looked at when null. */
  readonly flows?: readonly string[] | null;
}

export interface DatapathTests {
  readonly name: string;
  /** import.meta.filename */
  readonly file: string;
  /** The same tests once with each. */
  readonly setups?: Readonly<Record<string, Setup>>;
}

/** Declares tests on one datapath, loaded once; each begins with fresh maps. They may ask for the setup's name. */
export function describeDatapath(tests: DatapathTests, body: (get: () => TestDatapath, setup: string) => void): void {
  const { name, file, setups = { default: {} } } = tests;
  describeIsolated(name, file, () => {
    describe.each(Object.entries(setups))('%s', (setupName, setup) => {
      let datapath: TestDatapath;
      beforeAll(async () => {
        datapath = await TestDatapath.open(setup);
      });
      beforeEach(() => datapath.reset());
      afterAll(() => datapath[Symbol.dispose]());
      body(() => datapath, setupName);
    });
  });
}

export interface CaseOptions {
  /** Packets come with the device's sum over all of them, and the kernel checks that it stays true. */
  readonly summed?: boolean;
}

export function testCases(get: () => TestDatapath, cases: readonly PacketCase[], options: CaseOptions = {}): void {
  const { summed = false } = options;
  it.for(cases)(`$name${summed ? ', with a sum of the device' : ''}`, (one, { skip }) => {
    if (summed) skip(!get().canSum, 'the kernel makes no such packets (BPF_F_TEST_SKB_CHECKSUM_COMPLETE)');
    runCase(get(), one, summed);
  });
}

function runCase(datapath: TestDatapath, one: PacketCase, summed: boolean): void {
  one.given?.(datapath);
  const outcome = datapath.run(one.from, one.in, { gsoSize: one.gsoSize ?? 0, summed });
  expectOutcome(outcome, one.verdict, one.out ?? one.in);
  expect(datapath.drops()).toEqual(one.drops ?? {});
  if (one.flows !== null) expect(datapath.flows()).toEqual(one.flows ?? []);
}

/** As text first, because a difference in bytes says little. */
export function expectOutcome(outcome: Outcome, verdict: Verdict, out: Packet | Buffer): void {
  const wanted = Buffer.isBuffer(out) ? out : out.bytes();
  expect([outcome.verdict, ...printFrame(outcome.bytes)]).toEqual([verdict, ...printFrame(wanted)]);
  expect(outcome.bytes.toString('hex')).toBe(wanted.toString('hex'));
}
