// Several blocks of one pod: one row of ports, what happens when it is nearly or wholly taken, and whom that concerns.
import { afterEach, describe, expect, it } from 'vitest';
import type { EventReader } from '../../../src/bpf/ring-buffer.js';
import {
  type DropEvent,
  ENDPOINT_FLAGS,
  ENDPOINT_LIMITS,
  SHORTAGE_KIND,
  SHORTAGE_LIMITS,
  type Shortage,
  type ShortageEvent,
} from '../../../src/datapath/types.gen.js';
import { icmpAnswer } from '../../support/answers.js';
import { FIRSTS, open, own, ROW, SIZE, sorted, sourcePort, syn } from '../../support/block-row.js';
import type { TestDatapath } from '../../support/datapath.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { FAMILIES, from, V4 } from '../../support/world.js';

function shortageOf({ maps, ifindex }: TestDatapath, family: number): Shortage {
  const shortage = maps.shortages.get({ ifindex: ifindex.a, family });
  if (shortage === undefined) throw new Error('no shortage');
  return shortage;
}

describeDatapath({ name: 'port blocks', file: import.meta.filename }, (get) => {
  let reader: EventReader | undefined;
  afterEach(() => reader?.close());

  /** What the agent is told while `body` runs; waits for `count` events. */
  async function shortagesOf(body: () => void, count: number): Promise<ShortageEvent[]> {
    const events: ShortageEvent[] = [];
    reader = get().object.readEvents('events', (some) => {
      for (const { type, value } of some) if (type === 'shortage_event') events.push(value as ShortageEvent);
    });
    await new Promise((wake) => setTimeout(wake, 20)); // what earlier tests left in the ring
    events.length = 0;
    body();
    const deadline = Date.now() + 2000;
    while (events.length < count && Date.now() < deadline) await new Promise((wake) => setTimeout(wake, 5));
    return events;
  }

  describe.each(FAMILIES)('%s', (_, w) => {
    const number = w === V4 ? 0 : 1;
    const { ENDPOINT_MAY_GROW } = ENDPOINT_FLAGS;
    const prohibited = (source: number) => icmpAnswer('a', syn(w, source), { kind: 'prohibited', from: w.node });

    it('all ports of all blocks are found, and no other', () => {
      own(get(), w, FIRSTS);
      expect(sorted(open(get(), w, ROW.length))).toEqual(sorted(ROW));
      expectOutcome(get().run('a', syn(w, 9000)), 'redirect', prohibited(9000));
      expect(get().drops()).toEqual({ DROP_PORTS_EXHAUSTED: 1 });
    });

    it('the row goes on from one block to the next, and from the last to the first', () => {
      own(get(), w, FIRSTS);
      const at = (place: number) => 48 * 200 + place;
      const twice = (place: number) =>
        [0, 48].map((more) => sourcePort(get().run('a', syn(w, at(place) + more)).bytes));
      expect(twice(15)).toEqual([50_015, 40_000]);
      expect(twice(31)).toEqual([40_015, 60_000]);
      expect(twice(47)).toEqual([60_015, 50_000]);
    });

    it(`as many blocks as an endpoint has room for`, () => {
      const firsts = Array.from(
        { length: ENDPOINT_LIMITS.ENDPOINT_BLOCKS_MAX },
        (_each, index) => 40_000 + index * 1000,
      );
      own(get(), w, firsts);
      const ports = open(get(), w, firsts.length * SIZE);
      expect(new Set(ports).size).toBe(firsts.length * SIZE);
      expect(ports.every((port) => port % 1000 < SIZE && port >= 40_000 && port < 56_000)).toBe(true);
    });

    it('a block that is added is used, and the flows of the others stay', () => {
      own(get(), w, FIRSTS.slice(0, 1));
      const before = open(get(), w, SIZE);
      own(get(), w, FIRSTS.slice(0, 2));
      const after = open(get(), w, SIZE, 20_000);
      expect(sorted([...before, ...after])).toEqual(sorted(ROW.slice(0, 2 * SIZE)));
      expect(sourcePort(get().run('a', syn(w, 10_003)).bytes)).toBe(before[3]);
    });

    it('whoever may get a block is not refused but dropped, and the agent is asked', async () => {
      own(get(), w, FIRSTS.slice(0, 1), ENDPOINT_MAY_GROW);
      open(get(), w, SIZE);
      const events = await shortagesOf(() => {
        for (let index = 0; index < 50; index++) {
          expectOutcome(get().run('a', syn(w, 9000)), 'drop', syn(w, 9000));
        }
      }, 1);
      expect(get().drops()).toEqual({ DROP_PORT_BLOCK_WANTED: 50 });
      expect(events).toEqual([
        expect.objectContaining({
          pod: w.a,
          remote: w.remote,
          remote_port: 443,
          protocol: 6,
          family: number,
          kind: SHORTAGE_KIND.SHORTAGE_WAITING,
          ifindex: get().ifindex.a,
          blocks: 1,
        }),
      ]);
      expect(shortageOf(get(), number)).toMatchObject({
        waiting: 50n,
        refused: 0n,
        remote: w.remote,
        remote_port: 443,
      });
      own(get(), w, FIRSTS.slice(0, 2));
      expect(ROW.slice(SIZE, 2 * SIZE)).toContain(sourcePort(get().run('a', syn(w, 9000)).bytes));
    });

    it('what is asked for and does not come in time is refused, and asked for again', async () => {
      own(get(), w, FIRSTS.slice(0, 1), ENDPOINT_MAY_GROW);
      open(get(), w, SIZE);
      expect(get().run('a', syn(w, 9000)).verdict).toBe('drop');
      const key = { ifindex: get().ifindex.a, family: number };
      const { since, asked, ...rest } = shortageOf(get(), number);
      const earlier = { since: since - SHORTAGE_LIMITS.SHORTAGE_PATIENCE, asked: asked - 1000 };
      get().maps.shortages.set(key, { ...rest, ...earlier });
      const events = await shortagesOf(() => {
        expectOutcome(get().run('a', syn(w, 9001)), 'redirect', prohibited(9001));
      }, 2);
      expect(events.map(({ kind }) => kind)).toEqual([SHORTAGE_KIND.SHORTAGE_WAITING, SHORTAGE_KIND.SHORTAGE_REFUSED]);
      expect(get().drops()).toEqual({ DROP_PORT_BLOCK_WANTED: 1, DROP_PORTS_EXHAUSTED: 1 });
      // Long after that, the agent gets another chance.
      const later = shortageOf(get(), number);
      get().maps.shortages.set(key, { ...later, last: later.last - SHORTAGE_LIMITS.SHORTAGE_FORGET - 1 });
      expect(get().run('a', syn(w, 9002)).verdict).toBe('drop');
    });

    it('the agent is asked before the last port is taken, once in a while', async () => {
      own(get(), w, FIRSTS, ENDPOINT_MAY_GROW);
      // The search of each begins at the same place.
      const near = async (): Promise<ShortageEvent[]> =>
        shortagesOf(() => {
          for (let index = 0; index < 40; index++) get().run('a', syn(w, 9600 + index * 48));
        }, 1);
      expect(await near()).toEqual([expect.objectContaining({ kind: SHORTAGE_KIND.SHORTAGE_NEAR, blocks: 3 })]);
      expect(get().drops()).toEqual({});
    });

    it('nobody is asked for a pod that gets no more, and its refusals are told of once a second', async () => {
      own(get(), w, FIRSTS.slice(0, 1));
      const events = await shortagesOf(() => {
        open(get(), w, SIZE);
        for (let index = 0; index < 100; index++) get().run('a', syn(w, 9000 + index));
      }, 1);
      const kinds = events.map(({ kind }) => kind);
      expect(new Set(kinds)).toEqual(new Set([SHORTAGE_KIND.SHORTAGE_REFUSED]));
      expect(kinds.length).toBeLessThanOrEqual(3); // a second or two may have begun meanwhile
      expect(shortageOf(get(), number)).toMatchObject({ waiting: 0n, refused: 100n });
    });

    it('one pod’s want is nothing to another remote, nor to another pod', () => {
      own(get(), w, FIRSTS.slice(0, 1), ENDPOINT_MAY_GROW);
      open(get(), w, SIZE + 3);
      const drops = get().drops();
      expect(ROW).toContain(sourcePort(get().run('a', syn(w, 9000, w.remote2)).bytes));
      const neighbour = from('b').ip({ source: w.b, destination: w.remote }).tcp({ source: 9000, destination: 443 });
      expect(get().run('b', neighbour).verdict).toBe('redirect');
      expect(get().drops()).toEqual(drops);
    });
  });

  it('drops are told of as such, too', async () => {
    own(get(), V4, FIRSTS.slice(0, 1), ENDPOINT_FLAGS.ENDPOINT_MAY_GROW);
    open(get(), V4, SIZE);
    const reasons: number[] = [];
    reader = get().object.readEvents('events', (some) => {
      for (const { type, value } of some) if (type === 'drop_event') reasons.push((value as DropEvent).reason);
    });
    get().run('a', syn(V4, 9000));
    const deadline = Date.now() + 2000;
    while (!reasons.includes(26) && Date.now() < deadline) await new Promise((wake) => setTimeout(wake, 5));
    expect(reasons).toContain(26);
  });
});
