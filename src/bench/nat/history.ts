// A month of a busy node's port blocks, recorded by the agent's journal, and questions about it.
import { Journal } from '../../agent/journal.js';
import { type JournalReader, openJournal } from '../../api/journal-reader.js';
import type { BlockGrant } from '../../model/block-grant.js';
import { DEFAULT_BLOCK_SIZE, DEFAULT_NAT_PORTS } from '../../model/network.js';

export interface HistorySample {
  readonly pods: number;
  readonly days: number;
  readonly questions: number;
  readonly right: number;
  /** Questions that some pod is the answer to; nobody is the answer to the others. */
  readonly owned: number;
  /** Mean of a question, microseconds. */
  readonly microseconds: number;
  /** To read the journal, milliseconds. */
  readonly readMs: number;
  readonly bytes: number;
  readonly segments: number;
}

export interface HistoryOptions {
  readonly directory: string;
  readonly questions: number;
  readonly signal: AbortSignal;
  /** Makes the history and the questions; other ones in every run when absent. */
  readonly draw?: Draw;
}

/** A whole number from 0 to one less than the given. */
export type Draw = (below: number) => number;

const DAYS = 30;
const HOUR = 3_600_000;
const HOURS = DAYS * 24;
const START = Date.parse('2026-10-01T00:00:00.000Z');
const BLOCKS = (DEFAULT_NAT_PORTS.last - DEFAULT_NAT_PORTS.first + 1) / DEFAULT_BLOCK_SIZE;
const REPLACED_AN_HOUR = 6;
const OUTSIDE = { ipv4: '192.0.2.11', ipv6: '2001:db8::11' };
/** Questions between two looks at whether to go on. */
const CHUNK = 100_000;

/** Who had a block, by name of the pod; from and to are milliseconds of the epoch, both included. */
interface Span {
  readonly name: string;
  readonly from: number;
  to: number;
}

/** What happened, block by block: the answers, kept beside the journal. */
interface Life {
  readonly spans: readonly (readonly Span[])[];
  readonly pods: number;
}

export async function measureHistory(options: HistoryOptions): Promise<HistorySample> {
  const { directory, questions, signal, draw = drawRandomly } = options;
  const { spans, pods } = recordMonth(directory, draw);
  signal.throwIfAborted();
  const started = performance.now();
  const journal = openJournal(directory);
  const readMs = performance.now() - started;
  const totals = { right: 0, owned: 0, spent: 0 };
  for (let asked = 0; asked < questions; asked += CHUNK) {
    signal.throwIfAborted();
    askMany({ journal, spans, totals, draw }, Math.min(CHUNK, questions - asked));
  }
  const { right, owned, spent } = totals;
  const microseconds = (spent * 1000) / questions;
  const { bytes, segments } = journal;
  return { pods, days: DAYS, questions, right, owned, microseconds, readMs, bytes, segments };
}

/** Every hour some pods end, and a few minutes later others have their blocks. */
function recordMonth(directory: string, draw: Draw): Life {
  let now = START;
  const journal = new Journal({ directory, maxBytes: 1 << 26, maxAgeDays: 36_500, now: () => now });
  const spans: Span[][] = Array.from({ length: BLOCKS }, () => []);
  const grants = new Map<number, BlockGrant>();
  let pods = 0;
  const give = (block: number): void => {
    const name = `pod-${pods++}`;
    grants.set(block, grantOf(block, name));
    spans[block]?.push({ name, from: now, to: Infinity });
  };
  for (let block = 1; block < BLOCKS; block++) give(block);
  journal.grant([...grants.values()]);
  for (let hour = 1; hour <= HOURS; hour++) {
    now = START + hour * HOUR + draw(HOUR / 2);
    const ending = new Set(Array.from({ length: REPLACED_AN_HOUR }, () => 1 + draw(BLOCKS - 1)));
    for (const block of ending) {
      grants.delete(block);
      const span = spans[block]?.at(-1);
      if (span !== undefined) span.to = now;
    }
    journal.releaseOthers([...grants.values()]);
    now += 120_000 + draw(600_000);
    for (const block of ending) give(block);
    journal.grant([...grants.values()]);
  }
  journal.close();
  return { spans, pods };
}

function drawRandomly(below: number): number {
  return Math.floor(Math.random() * below);
}

function grantOf(block: number, name: string): BlockGrant {
  return {
    ports: { first: DEFAULT_NAT_PORTS.first + block * DEFAULT_BLOCK_SIZE, count: DEFAULT_BLOCK_SIZE },
    addresses: [
      { inside: `10.244.1.${block}`, outside: OUTSIDE.ipv4 },
      { inside: `fd00:10:244:1::${block}`, outside: OUTSIDE.ipv6 },
    ],
    owner: { kind: 'Pod', namespace: 'shop', name, uid: `uid-${name}`, containerID: `container-${name}` },
    node: 'n1',
    clusterID: 'a',
  };
}

interface Asking {
  readonly journal: JournalReader;
  readonly spans: Life['spans'];
  readonly totals: { right: number; owned: number; spent: number };
  readonly draw: Draw;
}

/** From an hour before the journal begins to an hour after it ends. */
function askMany({ journal, spans, totals, draw }: Asking, count: number): void {
  for (let question = 0; question < count; question++) {
    const address = draw(2) === 0 ? OUTSIDE.ipv4 : OUTSIDE.ipv6;
    const port = DEFAULT_NAT_PORTS.first + draw(BLOCKS * DEFAULT_BLOCK_SIZE);
    const time = START - HOUR + draw(HOURS * HOUR + 2 * HOUR);
    const begun = performance.now();
    const found = journal.grantAt({ address, port }, time);
    totals.spent += performance.now() - begun;
    const block = Math.floor((port - DEFAULT_NAT_PORTS.first) / DEFAULT_BLOCK_SIZE);
    const expected = (spans[block] ?? []).filter(({ from, to }) => from <= time && time <= to).map(({ name }) => name);
    const names = found.map(({ grant: { owner } }) => (owner.kind === 'Pod' ? owner.name : ''));
    totals.owned += expected.length;
    if (names.join() === expected.join()) totals.right++;
  }
}
