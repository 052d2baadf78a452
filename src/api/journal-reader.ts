// Reads a journal of block grants from its files, whether or not an agent lives.
import type { IpAddress } from '../model/address.js';
import { type BlockEvent, type BlockSnapshot, formatLine, type JournalLine } from '../model/block-grant.js';
import { BlockHistory } from '../model/block-history.js';
import type { Tenure } from '../model/block-replay.js';
import { listSegments, readSegment } from './journal-segments.js';

/** A journal as it was when it was read. */
export interface JournalReader {
  readonly directory: string;
  readonly history: BlockHistory;
  /** Of all segments. */
  readonly bytes: number;
  readonly segments: number;
  /** Whole lines that could not be understood. */
  readonly damaged: number;
  /** Who may have used a port at any moment from `time` on for `span` milliseconds (1 when absent). */
  grantAt(port: { address: IpAddress; port: number }, time: number, span?: number): Tenure[];
}

/** Reads all segments, oldest first. Throws JournalReadError. */
export function openJournal(directory: string): JournalReader {
  const segments = listSegments(directory);
  let damaged = 0;
  const lines = function* (): Generator<JournalLine> {
    for (const segment of segments) {
      const content = readSegment(segment);
      damaged += content.damaged.length;
      yield* content.lines;
    }
  };
  const history = new BlockHistory(lines());
  return {
    directory,
    history,
    bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
    segments: segments.length,
    damaged,
    grantAt: ({ address, port }, time, span = 1) => history.at({ address, port, from: time, to: time + span - 1 }),
  };
}

/** Bytes of the lines written at a time or later, milliseconds of the epoch; snapshots are left out. */
export function bytesSince(directory: string, time: number): number {
  let bytes = 0;
  for (const event of journalLines(directory)) {
    if (event.event !== 'snapshot' && Date.parse(event.time) >= time) bytes += Buffer.byteLength(formatLine(event));
  }
  return bytes;
}

/** Every event, oldest first. What the oldest segment knows to be granted before it counts as an event of then. */
export function* journalEvents(directory: string): Generator<BlockEvent> {
  let first = true;
  for (const line of journalLines(directory)) {
    if (line.event !== 'snapshot') yield line;
    else if (first) yield* grantsOf(line);
    first = false;
  }
}

function* journalLines(directory: string): Generator<JournalLine> {
  for (const segment of listSegments(directory)) yield* readSegment(segment).lines;
}

function grantsOf({ grants }: BlockSnapshot): BlockEvent[] {
  return grants
    .map(({ since, ports, addresses, owner, node, clusterID }): BlockEvent => {
      return { time: since, event: 'granted', ports, addresses, owner, node, clusterID };
    })
    .sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}
