// The journal of block grants: what is on disk when, and what is left of it after a crash at any moment.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Journal, type JournalOptions } from '../../src/agent/journal.js';
import { JournalFile } from '../../src/agent/journal-file.js';
import { journalEvents, openJournal } from '../../src/api/journal-reader.js';
import { listSegments, readSegment, segmentName } from '../../src/api/journal-segments.js';
import { type BlockGrant, formatLine, ownerText, parseLine } from '../../src/model/block-grant.js';
import { aGrant, createTemporaryDirectory, firstPort, OUTSIDE } from '../support/grants.js';

const START = Date.parse('2026-11-21T12:00:00.000Z');
const DAY = 86_400_000;
const HOUR = 3_600_000;
/** Milliseconds, for what writes durably a thousand times. */
const PATIENCE = 120_000;
const JOURNAL_MODULE = join(import.meta.dirname, '../../build/src/agent/journal.js');

function openWith(directory: string, fields: Partial<JournalOptions> = {}): Journal {
  return new Journal({ directory, maxBytes: 1 << 26, maxAgeDays: 90, ...fields });
}

const names = (grants: readonly BlockGrant[]) => grants.map(({ owner }) => ownerText(owner)).sort();
const onlySegment = (directory: string) => listSegments(directory)[0]?.path ?? '';
const eventTexts = (directory: string) =>
  [...journalEvents(directory)].map(({ event, owner }) => `${event} ${ownerText(owner)}`);

describe('a line', () => {
  const event = { ...aGrant(1, 'web-0'), time: '2026-11-21T12:00:00.000Z', event: 'granted' } as const;

  test('is JSON with the fields in one order, and reads back', () => {
    const line = formatLine(event);
    expect(line).toMatchInlineSnapshot(`
      "{"time":"2026-11-21T12:00:00.000Z","event":"granted","ports":{"first":37120,"count":256},"addresses":[{"inside":"10.244.1.1","outside":"192.0.2.11"},{"inside":"fd00:244:1::1","outside":"2001:db8::11"}],"owner":{"kind":"Pod","namespace":"shop","name":"web-0","uid":"uid-web-0","containerID":"container-web-0"},"node":"n1","clusterID":"a"}
      "
    `);
    expect(parseLine(line)).toEqual(event);
  });

  test.each([
    '',
    'null',
    '7',
    '{}',
    '{"time":"yesterday","event":"granted"}',
    formatLine(event).slice(0, -2),
    formatLine(event).replace('granted', 'lost'),
    formatLine(event).replace('37120', '"x"'),
    formatLine(event).replace('"kind":"Pod"', '"kind":"Cat"'),
    '{"time":"2026-11-21T12:00:00.000Z","event":"snapshot","grants":[{}],"releases":[]}',
  ])('is not %j', (text) => {
    expect(parseLine(text)).toBeUndefined();
  });
});

test('a grant is on disk when grant() returns, once however often it is asked for', () => {
  using dir = createTemporaryDirectory();
  const journal = openWith(dir.path);
  journal.grant([aGrant(1, 'a')]);
  journal.grant([aGrant(1, 'a'), aGrant(2, 'b')]);
  expect(eventTexts(dir.path)).toEqual(['granted pod shop/a', 'granted pod shop/b']);
  journal.close();
});

test('whoever is not granted any more is released', () => {
  using dir = createTemporaryDirectory();
  const journal = openWith(dir.path);
  journal.grant([aGrant(1, 'a'), aGrant(2, 'b')]);
  journal.releaseOthers([aGrant(2, 'b')]);
  expect(eventTexts(dir.path)).toEqual(['granted pod shop/a', 'granted pod shop/b', 'released pod shop/a']);
  expect(names(journal.granted)).toEqual(['pod shop/b']);
  journal.close();
});

test('a new agent goes on where the last one ended, and releases what is gone', () => {
  using dir = createTemporaryDirectory();
  const first = openWith(dir.path);
  first.grant([aGrant(1, 'a'), aGrant(2, 'b')]);
  first.close();
  const second = openWith(dir.path);
  expect(names(second.granted)).toEqual(['pod shop/a', 'pod shop/b']);
  second.grant([aGrant(2, 'b'), aGrant(3, 'c')]);
  second.releaseOthers([aGrant(2, 'b'), aGrant(3, 'c')]);
  second.close();
  expect(eventTexts(dir.path).slice(2)).toEqual(['granted pod shop/c', 'released pod shop/a']);
  expect(listSegments(dir.path)).toHaveLength(1);
});

test('a pod that moves to other ports is released from the old ones', () => {
  using dir = createTemporaryDirectory();
  const journal = openWith(dir.path);
  journal.grant([aGrant(1, 'a')]);
  const moved = aGrant(1, 'a', { ports: { first: 50_000, count: 64 } });
  journal.grant([moved]);
  journal.releaseOthers([moved]);
  journal.close();
  const { history } = openJournal(dir.path);
  expect(history.at({ address: OUTSIDE, port: 50_001, from: Date.now(), to: Date.now() })).toHaveLength(1);
  const last = history.at({ address: OUTSIDE, port: firstPort(1), from: 0, to: Infinity });
  expect(last[0]?.to).toBeTypeOf('number');
});

describe('memory of releases', () => {
  test('outlives the agent', () => {
    using dir = createTemporaryDirectory();
    const first = openWith(dir.path, { now: () => Date.now() - 60_000 });
    first.grant([aGrant(1, 'a')]);
    first.releaseOthers([]);
    expect(first.released[0]?.secondsAgo).toBeCloseTo(0, 0);
    first.close();
    const second = openWith(dir.path);
    expect(second.released).toMatchObject([{ ports: { first: firstPort(1), count: 256 } }]);
    expect(second.released[0]?.secondsAgo).toBeCloseTo(60, 0);
    second.close();
  });

  test('outlives the removal of the segment that it was written to', () => {
    using dir = createTemporaryDirectory();
    const journal = openWith(dir.path, { maxBytes: 1 << 20 });
    journal.grant([aGrant(1, 'a')]);
    journal.releaseOthers([]);
    churn(journal, 80);
    journal.close();
    expect(listSegments(dir.path)[0]?.sequence).toBeGreaterThan(1);
    const next = openWith(dir.path);
    expect(next.released.map(({ ports }) => ports.first)).toContain(firstPort(1));
    next.close();
  });

  test('counts from now when the clock was set back', () => {
    using dir = createTemporaryDirectory();
    const first = openWith(dir.path, { now: () => Date.now() + DAY });
    first.grant([aGrant(1, 'a')]);
    first.releaseOthers([]);
    first.close();
    const second = openWith(dir.path);
    expect(second.released[0]?.secondsAgo).toBeCloseTo(0, 0);
    second.close();
  });

  test('ends after a day', () => {
    using dir = createTemporaryDirectory();
    const first = openWith(dir.path, { now: () => Date.now() - DAY - 1000 });
    first.grant([aGrant(1, 'a')]);
    first.releaseOthers([]);
    first.close();
    const second = openWith(dir.path);
    expect(second.released).toEqual([]);
    second.close();
  });
});

const CROWD = Array.from({ length: 50 }, (_, index) => aGrant(index + 2, `passing-${index}`));

/** Fifty pods come and go, `count` times. */
function churn(journal: Journal, count: number, kept: readonly BlockGrant[] = []): void {
  for (let index = 0; index < count; index++) {
    journal.grant([...kept, ...CROWD]);
    journal.releaseOthers(kept);
  }
}

describe('rotation', () => {
  test('by size keeps the limit and the grants that last', () => {
    using dir = createTemporaryDirectory();
    let now = START;
    const journal = openWith(dir.path, { maxBytes: 1 << 20, now: () => now });
    const stays = aGrant(1, 'stays');
    journal.grant([stays]);
    for (let index = 0; index < 80; index++) {
      now += HOUR;
      churn(journal, 1, [stays]);
    }
    journal.close();
    const { bytes, segments, history } = openJournal(dir.path);
    expect(segments).toBeGreaterThan(8);
    expect(bytes).toBeLessThanOrEqual((1 << 20) + (1 << 16));
    expect(history.begins).toBeGreaterThan(START + DAY);
    expect(history.at({ address: OUTSIDE, port: firstPort(1), from: now, to: now })).toEqual([
      { grant: stays, from: START },
    ]);
  });

  test('by age removes what is older, also when nothing happens', () => {
    using dir = createTemporaryDirectory();
    let now = START;
    const journal = openWith(dir.path, { maxAgeDays: 16, now: () => now });
    journal.grant([aGrant(1, 'early')]);
    journal.releaseOthers([]);
    for (let day = 1; day <= 40; day++) {
      now = START + day * DAY + 1000;
      journal.maintain();
    }
    journal.close();
    expect(listSegments(dir.path)).toHaveLength(1);
    expect(eventTexts(dir.path)).toEqual([]);
  });

  test('a segment begins with all grants that last', () => {
    using dir = createTemporaryDirectory();
    const journal = openWith(dir.path, { maxBytes: 1 << 20 });
    journal.grant([aGrant(1, 'stays')]);
    churn(journal, 5, [aGrant(1, 'stays')]);
    journal.close();
    const segments = listSegments(dir.path);
    expect(segments.length).toBeGreaterThan(1);
    for (const { path, sequence } of segments.slice(1)) {
      const [begin] = readSegment({ path }).lines;
      expect(names(begin?.event === 'snapshot' ? begin.grants : [])).toContain('pod shop/stays');
      expect(path).toContain(`/${String(sequence).padStart(8, '0')}-2`);
    }
  });

  test('a directory that was removed is made again, with all grants', () => {
    using dir = createTemporaryDirectory();
    const directory = join(dir.path, 'journal');
    const journal = openWith(directory);
    journal.grant([aGrant(1, 'a')]);
    rmSync(directory, { recursive: true });
    journal.grant([aGrant(2, 'b')]);
    journal.close();
    expect(eventTexts(directory)).toEqual(['granted pod shop/a', 'granted pod shop/b']);
  });
});

describe('after a crash', () => {
  test(
    'at every byte of what was written, the whole lines count and the journal goes on',
    () => {
      using dir = createTemporaryDirectory();
      const whole = join(dir.path, 'whole');
      const journal = openWith(whole);
      const begun = readFileSync(onlySegment(whole)).length;
      const [a, b, c] = ['a', 'b', 'c'].map((name, index) => aGrant(index + 1, name, { addresses: [] })) as [
        BlockGrant,
        BlockGrant,
        BlockGrant,
      ];
      journal.grant([a]);
      journal.grant([b, c]);
      journal.releaseOthers([b, c]);
      journal.close();
      const path = onlySegment(whole);
      const bytes = readFileSync(path);
      for (let length = begun; length <= bytes.length; length++) {
        const directory = join(dir.path, String(length));
        mkdirSync(directory);
        const copy = join(directory, path.slice(whole.length + 1));
        copyFileSync(path, copy);
        truncateSync(copy, length);
        const lines = bytes.toString('utf8', 0, length).split('\n').length - 1;
        const again = openWith(directory);
        expect(names(again.granted)).toEqual(LIVE_AFTER[lines - 1]);
        again.grant([aGrant(9, 'next')]);
        again.close();
        const after = openJournal(directory);
        expect([after.damaged, after.history.count]).toEqual([0, Math.min(lines - 1, 3) + 1]);
        rmSync(directory, { recursive: true });
      }
    },
    PATIENCE,
  );
  const LIVE_AFTER = [
    [],
    ['pod shop/a'],
    ['pod shop/a', 'pod shop/b'],
    ['pod shop/a', 'pod shop/b', 'pod shop/c'],
    ['pod shop/b', 'pod shop/c'],
  ];

  test('in the middle of a new segment, the old one goes on', () => {
    using dir = createTemporaryDirectory();
    const journal = openWith(dir.path);
    journal.grant([aGrant(1, 'a')]);
    journal.close();
    writeFileSync(join(dir.path, `${segmentName(2, START)}.tmp`), '{"time":"2026-11-21T12:00');
    const again = openWith(dir.path);
    expect(names(again.granted)).toEqual(['pod shop/a']);
    again.close();
    expect(readdirSync(dir.path)).toHaveLength(1);
  });

  test('damaged lines in the middle are skipped, counted and said', () => {
    using dir = createTemporaryDirectory();
    const journal = openWith(dir.path);
    journal.grant([aGrant(1, 'a')]);
    appendFileSync(onlySegment(dir.path), '\0\0\0\0\n');
    journal.grant([aGrant(2, 'b')]);
    journal.close();
    const notes: object[] = [];
    const again = openWith(dir.path, { onNote: (note) => notes.push(note) });
    expect(names(again.granted)).toEqual(['pod shop/a', 'pod shop/b']);
    expect(notes).toMatchObject([{ lines: [3] }]);
    again.close();
    expect(openJournal(dir.path).damaged).toBe(1);
  });

  test('a segment that lost its begin is left alone, and the ones before it are asked', () => {
    using dir = createTemporaryDirectory();
    const journal = openWith(dir.path);
    journal.grant([aGrant(1, 'a')]);
    journal.close();
    writeFileSync(join(dir.path, segmentName(2, START)), '\0'.repeat(100));
    const again = openWith(dir.path);
    expect(names(again.granted)).toEqual(['pod shop/a']);
    again.close();
    expect(listSegments(dir.path).map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });
});

describe('when the disk is full', () => {
  test('a grant is refused with its name, and nothing of it stays', () => {
    using dir = createTemporaryDirectory();
    const script = `
      const { Journal } = await import(${JSON.stringify(JOURNAL_MODULE)});
      const journal = new Journal({ directory: ${JSON.stringify(dir.path)}, maxBytes: 1 << 26, maxAgeDays: 90 });
      const grant = ${JSON.stringify(aGrant(1, 'x'))};
      for (let index = 0; ; index++) {
        try {
          journal.grant([{ ...grant, owner: { ...grant.owner, name: 'pod-' + index } }]);
        } catch (error) {
          console.log(JSON.stringify({ count: index, code: error.code, message: error.message }));
          break;
        }
      }`;
    const limited = ['-c', 'ulimit -f 8; exec "$0" --input-type=module -e "$1"', process.execPath, script];
    const { stdout, stderr } = spawnSync('bash', limited, { encoding: 'utf8' });
    expect(stderr).toBe('');
    const { count, code, message } = JSON.parse(stdout) as { count: number; code: string; message: string };
    expect(count).toBeGreaterThan(5);
    expect(code).toBe('ERR_JOURNAL');
    expect(message).toContain(`cannot record that ports 37120-37375 of pod shop/pod-${count} are granted: EFBIG`);
    expect(message).toContain('nobody may use them');
    const bytes = readFileSync(onlySegment(dir.path), 'utf8');
    expect(bytes.endsWith('\n')).toBe(true);
    expect(bytes.split('\n')).toHaveLength(count + 2);
  });

  test('what could not be cut off never becomes part of the next line', () => {
    const file = new JournalFile('/dev/full', 0);
    expect(() => file.append('x\n')).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    expect(file.bytes).toBe(0);
    file.close();
  });
});
