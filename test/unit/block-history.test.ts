// Who owned which port when, against a model that only remembers everything.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type BlockEvent, type BlockGrant, grantText, type JournalLine } from '../../src/model/block-grant.js';
import { BlockHistory } from '../../src/model/block-history.js';
import { BlockReplay } from '../../src/model/block-replay.js';
import { aGrant, firstPort, OUTSIDE, OUTSIDE_V6 } from '../support/grants.js';

const START = Date.parse('2026-11-21T12:00:00.000Z');
const QUESTIONS = 100_000;
const BLOCKS = 12;

const at = (time: number) => new Date(time).toISOString();
const event = (kind: BlockEvent['event'], grant: BlockGrant, time: number): BlockEvent => {
  return { ...grant, event: kind, time: at(time) };
};

interface Step {
  readonly block: number;
  readonly pause: number;
  readonly size: 64 | 256;
}

interface Span {
  readonly grant: BlockGrant;
  readonly from: number;
  to: number;
}

/** Every step gives a block to a new pod, or takes it away; now and then the journal begins a new segment. */
function record(steps: readonly Step[]): { lines: JournalLine[]; spans: Span[]; end: number } {
  const lines: JournalLine[] = [{ time: at(START), event: 'snapshot', grants: [], releases: [] }];
  const live = new Map<number, Span>();
  const spans: Span[] = [];
  let time = START;
  for (const [index, { block, pause, size }] of steps.entries()) {
    time += pause;
    const owned = live.get(block);
    if (owned === undefined) {
      const ports = { first: firstPort(block), count: size };
      const span = { grant: aGrant(block, `pod-${index}`, { ports }), from: time, to: Infinity };
      live.set(block, span);
      spans.push(span);
      lines.push(event('granted', span.grant, time));
    } else {
      owned.to = time;
      live.delete(block);
      lines.push(event('released', owned.grant, time));
    }
    if (index % 97 === 96) lines.push(snapshot(live, time));
  }
  return { lines, spans, end: time };
}

function snapshot(live: ReadonlyMap<number, Span>, time: number): JournalLine {
  const grants = [...live.values()].map(({ grant, from }) => ({ ...grant, since: at(from) }));
  return { time: at(time), event: 'snapshot', grants, releases: [] };
}

const step = fc.record({
  block: fc.integer({ min: 1, max: BLOCKS }),
  pause: fc.integer({ min: 0, max: 2000 }),
  size: fc.constantFrom(64 as const, 256 as const),
});

test(`${QUESTIONS} random questions are answered as the plain model answers them`, () => {
  let asked = 0;
  let answered = 0;
  const runs = 50;
  fc.assert(
    fc.property(fc.array(step, { minLength: 100, maxLength: 600 }), fc.infiniteStream(fc.nat()), (steps, stream) => {
      const { lines, spans, end } = record(steps);
      const history = new BlockHistory(lines);
      const draw = (below: number) => (stream.next().value as number) % below;
      for (let count = 0; count < QUESTIONS / runs; count++) {
        const address = [OUTSIDE, OUTSIDE_V6, '192.0.2.99'][draw(3)] ?? '';
        const port = firstPort(0) + draw((BLOCKS + 2) * 256);
        const from = START - 1000 + draw(end - START + 2000);
        const to = from + (draw(2) === 0 ? 0 : 999);
        const expected = spans.filter(({ grant: { ports, addresses }, ...span }) => {
          const owns =
            addresses.some(({ outside }) => outside === address) &&
            port >= ports.first &&
            port < ports.first + ports.count;
          return owns && span.from <= to && span.to >= from;
        });
        const found = history.at({ address, port, from, to });
        expect(found.map(({ grant, from, to }) => `${grantText(grant)} ${from} ${to ?? Infinity}`).sort()).toEqual(
          expected.map((span) => `${grantText(span.grant)} ${span.from} ${span.to}`).sort(),
        );
        asked++;
        answered += found.length;
      }
    }),
    { numRuns: runs },
  );
  expect(asked).toBe(QUESTIONS);
  expect(answered).toBeGreaterThan(QUESTIONS / 20);
}, 120_000);

test('any end of the journal can be forgotten as far as a snapshot, and what follows is answered the same', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 300, maxLength: 500 }), fc.nat(), (steps, seed) => {
      const { lines, end } = record(steps);
      const cut = lines.findLastIndex((line) => line.event === 'snapshot');
      const from = Date.parse(lines[cut]?.time ?? '') + 1;
      const question = { address: OUTSIDE, port: firstPort(1 + (seed % BLOCKS)), from, to: end + 1 };
      expect(new BlockHistory(lines.slice(cut)).at(question)).toEqual(new BlockHistory(lines).at(question));
    }),
    { numRuns: 50 },
  );
});

test('whoever had a block within the asked second is an answer, in order', () => {
  const [a, b] = [aGrant(1, 'a'), aGrant(1, 'b')];
  const lines = [event('granted', a, START), event('released', a, START + 5300), event('granted', b, START + 5400)];
  const history = new BlockHistory(lines);
  const port = { address: OUTSIDE, port: firstPort(1) };
  expect(history.at({ ...port, from: START + 5000, to: START + 5999 }).map(({ grant }) => grant)).toEqual([a, b]);
  expect(history.at({ ...port, from: START + 5350, to: START + 5350 })).toEqual([]);
  expect(history.around({ ...port, from: START + 5350, to: START + 5350 })).toMatchObject({
    before: { grant: a },
    after: { grant: b },
  });
});

test('a clock that is set back makes a tenure longer, never unseen', () => {
  const a = aGrant(1, 'a');
  const history = new BlockHistory([event('granted', a, START), event('released', a, START - 60_000)]);
  const port = { address: OUTSIDE, port: firstPort(1) };
  for (const time of [START - 60_000, START - 1, START])
    expect(history.at({ ...port, from: time, to: time })).toHaveLength(1);
  expect(history.at({ ...port, from: START + 1, to: START + 1 })).toEqual([]);
});

test('a snapshot ends what it does not have, and a release without a grant counts from the last snapshot', () => {
  const ended: object[] = [];
  const replay = new BlockReplay((tenure) => ended.push(tenure));
  const [a, b] = [aGrant(1, 'a'), aGrant(2, 'b')];
  replay.apply(event('granted', a, START));
  replay.apply({ time: at(START + 10), event: 'snapshot', grants: [], releases: [] });
  replay.apply(event('released', b, START + 20));
  expect(ended).toEqual([
    { grant: a, from: START, to: START + 10 },
    { grant: b, from: START + 10, to: START + 20 },
  ]);
  expect(replay.live.size).toBe(0);
});
