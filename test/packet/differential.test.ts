// The real programs against the model of test/support/model: random histories of packets, valid and spoilt.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAPPING_SIDE } from '../../src/datapath/types.gen.js';
import { type DropName, type Outcome, type Setup, TestDatapath } from '../support/datapath.js';
import { describeIsolated, TEST_SECONDS } from '../support/isolated.js';
import { textOf } from '../support/model/answers.js';
import { type Chosen, DatapathModel, type Mapped, type Ruling } from '../support/model/datapath-model.js';
import { lineOf } from '../support/model/flow-table.js';
import { type ModelNode, modelNodeOf } from '../support/model/node.js';
import { type Address, addressOf, type Tuple, tupleOf, tupleText } from '../support/model/tuple.js';
import { printFrame } from '../support/packet-text.js';
import { withPorts } from '../support/port-blocks.js';
import { framesOf, type Kind, randomHistory, type Seen, type Sent, type Step } from '../support/random-traffic.js';
import { type Device, NODE_PORT, V4, V6 } from '../support/world.js';

/** Histories of each setup; ISTHMUS_DIFFERENTIAL_RUNS for a longer look, ISTHMUS_DIFFERENTIAL_SEED for the same again. */
const RUNS = Number(process.env.ISTHMUS_DIFFERENTIAL_RUNS ?? 40);
const SEED = process.env.ISTHMUS_DIFFERENTIAL_SEED;
const STEPS = 40;
/** Milliseconds for each setup: a busy machine tells fewer histories, and a failure is shrunk no longer. */
const LIMIT_MS = (TEST_SECONDS * 1000) / 16;
/** Milliseconds after which the datapath may have forgotten a complete datagram's ports (fragment.h). */
const QUICK = 90;

/** Each is loaded once. */
const SETUPS: Readonly<Record<string, Setup>> = {
  island: {},
  'island, endpoint-independent, addresses filtered': {
    config: { udp_endpoint_independent: 1, tcp_endpoint_independent: 1, filtering: 1 },
  },
  'island, endpoint-independent UDP, all admitted, checksums by helpers': {
    config: { udp_endpoint_independent: 1, filtering: 2, fast_checksum: 0 },
  },
  flat: { config: { island: Uint8Array.of(0, 0) } },
};

/** Ports of a pod: with few of them a history can use up all. */
const PORTS = [256, 3];

describeIsolated('differential', import.meta.filename, () => {
  /** Packets by kind, device and end. */
  const census = new Map<string, number>();

  describe.each(Object.entries(SETUPS))('%s', (_, setup) => {
    let datapath: TestDatapath;
    let node: ModelNode;

    beforeAll(async () => {
      datapath = await TestDatapath.open(setup);
    });
    afterAll(() => datapath[Symbol.dispose]());

    it.each(PORTS)(
      'rules as the model does, byte by byte, with %i ports a pod',
      { timeout: TEST_SECONDS * 1000 },
      (ports) => {
        const property = fc.property(randomHistory(STEPS), (steps) => {
          // A machine that stops for a while makes the datapath forget fragments: then the history says nothing.
          fc.pre(run(steps, ports) || run(steps, ports) || run(steps, ports));
        });
        fc.assert(property, {
          numRuns: RUNS,
          interruptAfterTimeLimit: LIMIT_MS,
          ...(SEED === undefined ? {} : { seed: Number(SEED) }),
        });
      },
    );

    /** Returns whether it was quick enough to count. */
    function run(steps: readonly Step[], ports: number): boolean {
      datapath.reset();
      prepare(datapath, ports);
      node = modelNodeOf(datapath);
      const story = new Story(datapath, node, census);
      const started = performance.now();
      const isQuick = (): boolean => performance.now() - started < QUICK;
      try {
        for (const step of steps) story.tell(step);
        expect(flowLines(datapath, node)).toEqual(story.model.flows.lines());
        if ([...datapath.maps.flows.scan()].some(([, { shift }]) => shift !== 0)) count(census, 'flows are shifted');
        return isQuick();
      } catch (error) {
        if (isQuick()) throw error;
        return false;
      }
    }
  });

  it('the histories came to every kind of end', () => {
    if (process.env.ISTHMUS_DIFFERENTIAL_RUNS !== undefined) process.stdout.write(`${censusText(census)}\n`);
    const ends = endsOf(census);
    expect(ENDS.filter((end) => !ends.has(end))).toEqual([]);
  });
});

/** One history, told to both. */
class Story {
  readonly model: DatapathModel;
  readonly #datapath: TestDatapath;
  readonly #census: Map<string, number>;
  readonly #seen: Seen[] = [];
  readonly #log: string[][] = [];
  #drops: Partial<Record<DropName, number>> = {};

  constructor(datapath: TestDatapath, node: ModelNode, census: Map<string, number>) {
    this.#datapath = datapath;
    this.#census = census;
    this.model = new DatapathModel(node, { chosen: chosenBy(datapath), mapped: mappedBy(datapath) });
  }

  tell(step: Step): void {
    for (const sent of framesOf(step, this.#seen)) this.#send(step.kind, sent);
  }

  #send(kind: Kind, { device, frame }: Sent): void {
    const outcome = this.#datapath.run(device, frame);
    this.#log.push([`${kind} from ${device}: ${outcome.verdict}`, ...printFrame(frame)]);
    const ruling = this.#rule(device, frame);
    const drops = this.#datapath.drops();
    const drop = newDrop(this.#drops, drops);
    this.#drops = drops;
    if (!agrees(ruling, outcome, drop, frame)) this.#disagree(ruling, outcome, drop);
    count(this.#census, `${kind} ${device} ${drop ?? outcome.verdict}`);
    if (ruling.to !== undefined && ruling.drop === undefined && frame.readUInt16BE(12) !== 0x0806) {
      this.#seen.push({ device, frame, to: ruling.to as Device, out: outcome.bytes });
    }
  }

  #rule(device: Device, frame: Buffer): Ruling {
    try {
      return this.model.handle(device, frame);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.#history()}`, { cause: error });
    }
  }

  #disagree(ruling: Ruling, outcome: Outcome, drop: string | undefined): never {
    const text = (what: { verdict: string; bytes?: Buffer }, reason: string | undefined): string[] => [
      `${what.verdict} ${reason ?? ''}`,
      ...(what.bytes === undefined || what.verdict !== 'redirect'
        ? []
        : [...printFrame(what.bytes), what.bytes.toString('hex')]),
    ];
    try {
      expect(text(outcome, drop)).toEqual(text(ruling, ruling.drop));
    } catch (error) {
      throw new Error(`the datapath (-) and the model (+) differ\n${(error as Error).message}\n${this.#history()}`);
    }
    throw new Error('the frames differ though they look the same');
  }

  #history(): string {
    return this.#log.map((lines, index) => `${index}: ${lines.join('\n   ')}`).join('\n');
  }
}

function agrees(ruling: Ruling, { verdict, bytes }: Outcome, drop: string | undefined, frame: Buffer): boolean {
  if (ruling.verdict !== verdict || ruling.drop !== drop) return false;
  // Nobody sees the bytes of what is dropped.
  return verdict === 'drop' || bytes.equals(ruling.bytes ?? frame);
}

/** The reason that was counted since. */
function newDrop(
  before: Partial<Record<DropName, number>>,
  after: Partial<Record<DropName, number>>,
): string | undefined {
  const names = Object.entries(after).flatMap(([name, total]) =>
    Array.from({ length: total - (before[name as DropName] ?? 0) }, () => name),
  );
  return names.length === 0 ? undefined : names.join(' and ');
}

/** Asks the datapath's table what it has chosen. */
function chosenBy({ maps }: TestDatapath): Chosen {
  return (original) => {
    const flow = maps.flows.get(keyOf(original));
    return flow && { translated: tupleOf(original.protocol, flow), shift: flow.shift };
  };
}

/** Asks it which outside name a socket has. */
function mappedBy({ maps }: TestDatapath): Mapped {
  return (protocol, { address, port }) => {
    const inside = { address: textOf(address), remote: '::', port, protocol, side: MAPPING_SIDE.MAPPING_INSIDE };
    const mapping = maps.mappings.get({ ...inside, remote_port: 0 });
    return mapping && { address: addressOf(mapping.address), port: mapping.port };
  };
}

const texts = new Map<Address, string>();

function keyOf({ protocol, source, destination, sourcePort, destinationPort }: Tuple) {
  const text = (address: Address): string => {
    const found = texts.get(address) ?? textOf(address);
    texts.set(address, found);
    return found;
  };
  const ends = { source: text(source), destination: text(destination) };
  return { ...ends, source_port: sourcePort, destination_port: destinationPort, protocol };
}

function flowLines({ maps }: TestDatapath, { deviceOf }: ModelNode): string[] {
  return [...maps.flows.scan()]
    .map(([key, flow]) => {
      const [text, to] = [tupleText(tupleOf(key.protocol, key)), tupleOf(key.protocol, flow)];
      return lineOf(text, to, [deviceOf(flow.ifindex_in), deviceOf(flow.ifindex_out)]);
    })
    .sort();
}

/** Services of every kind: here, elsewhere, both, nowhere. */
function prepare(datapath: TestDatapath, ports: number): void {
  for (const w of [V4, V6]) {
    for (const protocol of [6, 17, 132]) {
      const here = { address: w.b, port: 8080 };
      const there = { address: w.far, port: 8080 };
      datapath.setService([{ address: w.vip, port: 80, protocol }], [here]);
      datapath.setService([{ address: w.node, port: NODE_PORT, protocol }], [there]);
      datapath.setService([{ address: w.vip, port: 53, protocol }], ports > 3 ? [here, there] : [there]);
      datapath.setService([{ address: w.vip, port: 443, protocol }], []);
      datapath.setService([{ address: w.node, port: NODE_PORT + 1, protocol }], [here]);
    }
  }
  const { endpoints } = datapath.maps;
  for (const [address, endpoint] of [...endpoints.scan()]) endpoints.set(address, withPorts(endpoint, ports));
}

function count(census: Map<string, number>, what: string): void {
  census.set(what, (census.get(what) ?? 0) + 1);
}

/** Ends that histories must have come to, in one setup or another: otherwise they are no good. */
const ENDS = [
  ...['a redirect', 'a next', 'b redirect', 'uplink redirect', 'uplink next', 'uplink DROP_MALFORMED'],
  ...['a DROP_SPOOFED', 'a DROP_TRUNCATED', 'a DROP_TTL_EXCEEDED', 'a DROP_TOO_BIG', 'a DROP_FRAGMENT_MISS'],
  ...['a DROP_NO_FLOW', 'a DROP_UNSUPPORTED_PROTOCOL', 'a DROP_PORTS_EXHAUSTED', 'a DROP_NO_ROUTE'],
  ...['uplink DROP_NO_FLOW', 'uplink DROP_FILTERED', 'a DROP_ICMP_UNSUPPORTED', 'are shifted'],
];

function endsOf(census: ReadonlyMap<string, number>): Set<string> {
  return new Set([...census.keys()].map((what) => what.split(' ').slice(1).join(' ')));
}

function censusText(census: ReadonlyMap<string, number>): string {
  return [...census]
    .sort()
    .map(([what, total]) => `${String(total).padStart(8)} ${what}`)
    .join('\n');
}
