// The files of a journal of block grants: their names, their order, and their lines.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type JournalLine, parseLine } from '../model/block-grant.js';

/** Subdirectory of the state directory, unless a setting names another place. */
export const JOURNAL_NAME = 'journal';

/** One file. Segments are numbered, because a clock that is set back would reorder their times. */
export interface Segment {
  readonly path: string;
  readonly sequence: number;
  /** Milliseconds of the epoch. */
  readonly started: number;
  readonly bytes: number;
}

/** What a segment holds. */
export interface SegmentLines {
  readonly lines: readonly JournalLine[];
  /** Bytes of the whole lines; what follows is the begin of a line that was being written. */
  readonly wholeBytes: number;
  /** Numbers of the whole lines that are none of ours, from 1. */
  readonly damaged: readonly number[];
}

/** A journal that cannot be read. */
export class JournalReadError extends Error {
  readonly code: 'ERR_JOURNAL_MISSING' | 'ERR_JOURNAL_PERMISSION';

  constructor(code: JournalReadError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const NAME = /^(\d{8})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z\.jsonl$/;

/** `00000001-20261121T120000000Z.jsonl` */
export function segmentName(sequence: number, started: number): string {
  const time = new Date(started).toISOString().replace(/[-:.]/g, '');
  return `${String(sequence).padStart(8, '0')}-${time}.jsonl`;
}

/** Oldest first; files of other names are none. Throws JournalReadError. */
export function listSegments(directory: string): Segment[] {
  try {
    const found = readdirSync(directory).flatMap((name) => segmentOf(directory, name));
    return found.sort((a, b) => a.sequence - b.sequence);
  } catch (cause) {
    throw unreadable(directory, cause as NodeJS.ErrnoException);
  }
}

/** Throws JournalReadError. A segment that was removed meanwhile has no lines. */
export function readSegment({ path }: Pick<Segment, 'path'>): SegmentLines {
  const lines: JournalLine[] = [];
  const damaged: number[] = [];
  const bytes = readBytes(path);
  const wholeBytes = bytes.lastIndexOf('\n') + 1;
  const texts = wholeBytes === 0 ? [] : bytes.toString('utf8', 0, wholeBytes - 1).split('\n');
  texts.forEach((text, index) => {
    const line = parseLine(text);
    if (line === undefined) damaged.push(index + 1);
    else lines.push(line);
  });
  return { lines, wholeBytes, damaged };
}

function segmentOf(directory: string, name: string): Segment[] {
  const match = NAME.exec(name);
  if (match === null) return [];
  const [, sequence, year, month, day, hour, minute, second, fraction] = match;
  const path = join(directory, name);
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) return [];
  const started = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction}Z`);
  return [{ path, sequence: Number(sequence), started, bytes }];
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw unreadable(path, cause as NodeJS.ErrnoException);
  }
}

function unreadable(path: string, cause: NodeJS.ErrnoException): JournalReadError {
  const denied = cause.code === 'EACCES' || cause.code === 'EPERM';
  const why = cause.code === 'ENOENT' ? 'there is none' : cause.message;
  return new JournalReadError(
    denied ? 'ERR_JOURNAL_PERMISSION' : 'ERR_JOURNAL_MISSING',
    `cannot read the journal of block grants ${path}: ${why}`,
    { cause },
  );
}
