// The allocation of ports in the kernel: what must hold of the flow table after any history, also of two CPUs and a sweep.
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Action, act, blindAction, blindRuns, randomAction } from '../support/allocator-history.js';
import { type Setup, TestDatapath } from '../support/datapath.js';
import {
  brokenMappings,
  entryName,
  type FlowEntry,
  foreignPorts,
  halfPairs,
  isEstablished,
  sharedAnswers,
  sharedPorts,
} from '../support/flow-facts.js';
import { describeIsolated, mountBpffs, TEST_SECONDS } from '../support/isolated.js';
import type { Batch, BatchResult } from '../support/packet-worker.js';
import { openPinnedCpu, overlapOf, type PinnedCpu } from '../support/pinned-cpu.js';
import { withPorts } from '../support/port-blocks.js';
import { HOOKS, V4, V6 } from '../support/world.js';

/** Histories of each setup; ISTHMUS_ALLOCATOR_RUNS for a longer look, ISTHMUS_ALLOCATOR_SEED for the same again. */
const RUNS = Number(process.env.ISTHMUS_ALLOCATOR_RUNS ?? 40);
const SEED = process.env.ISTHMUS_ALLOCATOR_SEED;
const SETTINGS = {
  numRuns: RUNS,
  ...(SEED === undefined ? {} : { seed: Number(SEED) }),
  interruptAfterTimeLimit: (TEST_SECONDS * 1000) / 12,
};
/** Ports of a pod. */
const PORTS = 5;
/** A history of two CPUs is repeated for so long: the moments that matter are short. */
const TOGETHER_MS = 10;
const TOGETHER_NS = BigInt(TOGETHER_MS) * 1_000_000n;

/** TCP that is closed is dead at once, and what nobody has answered nearly so: new flows and sweeps take it. */
const SHORT = {
  ...{ tcp_opening: 1, tcp_established: 7440, tcp_closing: 0 },
  ...{ udp_one_way: 300, udp_two_way: 300, udp_well_known: 300, icmp: 300 },
};

const SETUPS: Readonly<Record<string, Setup>> = {
  'ports shared by remotes': {},
  'endpoint-independent': { config: { udp_endpoint_independent: 1, tcp_endpoint_independent: 1, filtering: 2 } },
  'ports shared by remotes, dead at once': { config: { timeouts: SHORT } },
};
const PROGRAMS = ['from_container', 'from_netdev', 'sweep_flows'];

describeIsolated('allocator', import.meta.filename, () => {
  let pins: string;
  beforeAll(() => {
    pins = mountBpffs();
  });

  describe.each(Object.keys(SETUPS))('%s', (name) => {
    const setup = SETUPS[name] ?? {};
    const pin = (program: string): string => join(pins, `${program} ${name}`);
    let datapath: TestDatapath;
    let cpus: PinnedCpu[];

    beforeAll(async () => {
      datapath = await TestDatapath.open(setup);
      for (const program of PROGRAMS) datapath.program(program).pin(pin(program));
      cpus = [0, 1].map(openPinnedCpu);
    });
    afterAll(() => {
      for (const cpu of cpus) cpu[Symbol.dispose]();
      datapath[Symbol.dispose]();
    });

    it('keeps every fact after every packet, and takes nothing from a living flow', {
      timeout: TEST_SECONDS * 1000,
    }, () => {
      const seen = new Set<string>();
      const history = fc.array(randomAction, { minLength: 1, maxLength: 60, size: 'max' });
      const property = fc.property(history, (actions) => {
        prepare(datapath);
        const aged = new Set<string>();
        for (const one of actions) {
          const before = entriesOf(datapath).filter((entry) => isEstablished(entry) && !aged.has(entryName(entry)));
          act(datapath, one, aged);
          expectFacts(datapath, setup, aged);
          if (one.do !== 'delete') expectStill(datapath, before);
          seen.add(one.do);
        }
      });
      fc.assert(property, SETTINGS);
      expect([...seen].sort()).toEqual(['age', 'answer', 'delete', 'send', 'sweep']);
    });

    it('keeps them while two CPUs open, answer, close and sweep', { timeout: TEST_SECONDS * 1000 }, async () => {
      const load = fc.array(blindAction, { minLength: 5, maxLength: 60, size: 'max' });
      const totals: Record<string, number> = {};
      let overlap = 0;
      const property = fc.asyncProperty(load, load, async (...loads) => {
        prepare(datapath);
        const [one, other] = await runBoth(loads.map((actions) => runsOf(datapath, actions, pin)));
        overlap += overlapOf(one, other);
        for (const [verdict, times] of [one, other].flatMap(({ verdicts }) => Object.entries(verdicts)))
          totals[verdict] = (totals[verdict] ?? 0) + times;
        // Mappings are two entries, and two CPUs that map one socket at once may still leave one without the other.
        expectPairs(datapath);
      });
      // A race does not come again when it is asked to: there is nothing to shrink.
      await fc.assert(property, { ...SETTINGS, endOnFailure: true });
      // Redirected, or a walk that ended well.
      expect(totals[7]).toBeGreaterThan(1000);
      expect(totals[0]).toBeGreaterThan(0);
      expect(overlap).toBeGreaterThan(TOGETHER_MS);
    });

    async function runBoth(loads: readonly Batch['runs'][]): Promise<[BatchResult, BatchResult]> {
      const now = process.hrtime.bigint();
      const times = { start: String(now + 8_000_000n), end: String(now + 8_000_000n + TOGETHER_NS) };
      const results = await Promise.all(cpus.map((cpu, index) => cpu.run({ runs: loads[index] ?? [], ...times })));
      return results as [BatchResult, BatchResult];
    }
  });
});

function prepare(datapath: TestDatapath): void {
  datapath.reset();
  for (const w of [V4, V6]) {
    for (const protocol of [6, 17]) {
      datapath.setService([{ address: w.vip, port: 80, protocol }], [{ address: w.b, port: 8080 }]);
    }
  }
  const { endpoints } = datapath.maps;
  for (const [address, endpoint] of [...endpoints.scan()]) endpoints.set(address, withPorts(endpoint, PORTS));
}

function entriesOf({ maps }: TestDatapath): FlowEntry[] {
  return [...maps.flows.scan()];
}

function expectFacts(datapath: TestDatapath, { config = {} }: Setup, aged: ReadonlySet<string>): void {
  expectPairs(datapath);
  // The mapping of a flow that is dead, but not swept yet, may have been given to another socket.
  const mapped = entriesOf(datapath).filter((entry) => isMapped(entry) && !aged.has(entryName(entry)));
  expect({
    brokenMappings: brokenMappings([...datapath.maps.mappings.scan()]),
    sharedPorts: config.tcp_endpoint_independent ? sharedPorts(mapped) : [],
  }).toEqual({ brokenMappings: [], sharedPorts: [] });
}

function expectPairs(datapath: TestDatapath): void {
  const entries = entriesOf(datapath);
  const endpoints = new Map(datapath.maps.endpoints.scan());
  expect({
    halfPairs: halfPairs(entries),
    sharedAnswers: sharedAnswers(entries),
    foreignPorts: foreignPorts(entries, endpoints),
  }).toEqual({ halfPairs: [], sharedAnswers: [], foreignPorts: [] });
}

/** Echoes have no mapping, and flows to services are no socket's mapping's. */
function isMapped([{ protocol, destination }]: FlowEntry): boolean {
  return (protocol === 6 || protocol === 17) && destination !== V4.vip && destination !== V6.vip;
}

/** Flows that are alive stay, by the port that they had. */
function expectStill(datapath: TestDatapath, before: readonly FlowEntry[]): void {
  const after = new Map(entriesOf(datapath).map((entry) => [entryName(entry), entry[1].source_port]));
  const gone = before.filter((entry) => after.get(entryName(entry)) !== entry[1].source_port);
  expect(gone.map(entryName)).toEqual([]);
}

function runsOf(datapath: TestDatapath, actions: readonly Action[], pin: (program: string) => string): Batch['runs'] {
  return actions
    .flatMap((one) => blindRuns(datapath, one))
    .map((run) => {
      if (run === undefined) return { program: pin('sweep_flows') };
      const { data, context } = datapath.testRunOf(run.device, run.frame);
      const program = pin(HOOKS[run.device]);
      return { program, data: data.toString('base64'), context: context.toString('base64') };
    });
}
