// The journal of block grants: every grant is on disk before it is used, and stays there for those who ask later.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { listSegments, readSegment, type Segment, segmentName } from '../api/journal-segments.js';
import {
  type BlockEvent,
  type BlockGrant,
  type BlockRelease,
  type BlockSnapshot,
  formatLine,
  grantText,
  outsideOf,
  ownerText,
  portsText,
  releaseText,
} from '../model/block-grant.js';
import { BlockReplay } from '../model/block-replay.js';
import { createFile, JournalFile } from './journal-file.js';

export interface JournalOptions {
  readonly directory: string;
  /** Of all segments together. */
  readonly maxBytes: number;
  readonly maxAgeDays: number;
  /** What was repaired or could not be done, for the log. */
  readonly onNote?: (note: object, message: string) => void;
  /** Milliseconds of the epoch. */
  readonly now?: () => number;
}

/** Ports that were given back. */
export interface ReleasedPorts extends Pick<BlockRelease, 'ports' | 'outside'> {
  readonly secondsAgo: number;
}

/** A grant could not be recorded, so it was not given. */
export class JournalError extends Error {
  readonly code = 'ERR_JOURNAL';
}

const DAY = 86_400_000;
/** Segments that the limits of size and age are divided into: so much is forgotten at once. */
const PARTS = 16;
const MAINTENANCE_PERIOD = 3_600_000;

export class Journal {
  readonly #options: JournalOptions;
  readonly #replay = new BlockReplay();
  /** Clock that is never set back, in milliseconds, when the release was seen, by its ports. */
  readonly #released = new Map<string, { readonly release: BlockRelease; readonly at: number }>();
  #file: JournalFile;
  #segment: Pick<Segment, 'sequence' | 'started'>;
  #segmentLimit = 0;
  #maintained = 0;

  /** Repairs what a crash left, and goes on where it ended. Throws the error of the file system. */
  constructor(options: JournalOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    removeUnfinished(options.directory);
    const last = this.#recall();
    const opened = last === undefined ? this.#begin(1) : this.#reopen(last);
    this.#file = opened.file;
    this.#segment = opened.segment;
    this.maintain();
  }

  /** Grants that were not given back. */
  get granted(): BlockGrant[] {
    return [...this.#replay.live.values()].map(({ grant }) => grant);
  }

  /** What was given back within the last day, also before this agent was started. */
  get released(): ReleasedPorts[] {
    const now = performance.now();
    return [...this.#released.values()].map(({ release, at }) => ({ ...release, secondsAgo: (now - at) / 1000 }));
  }

  /** Records those that are not granted yet. On disk when it returns. Throws JournalError; none is granted then. */
  grant(grants: readonly BlockGrant[]): void {
    const missing = grants.filter((grant) => !this.#replay.live.has(grantText(grant)));
    if (missing.length > 0) this.#record('granted', missing);
  }

  /** Records that all other grants have ended. Throws JournalError; they last then, and their ports stay taken. */
  releaseOthers(grants: readonly BlockGrant[]): void {
    const ended = this.othersThan(grants);
    if (ended.length > 0) this.#record('released', ended);
  }

  /** Grants that last, and are none of these. */
  othersThan(grants: readonly BlockGrant[]): BlockGrant[] {
    const kept = new Set(grants.map(grantText));
    return this.granted.filter((grant) => !kept.has(grantText(grant)));
  }

  /** Forgets what is too old; to be called now and then, and does something once an hour. */
  maintain(): void {
    const now = this.#now();
    if (Math.abs(now - this.#maintained) < MAINTENANCE_PERIOD) return;
    this.#maintained = now;
    for (const [key, { at }] of this.#released) if (performance.now() - at > DAY) this.#released.delete(key);
    const age = now - this.#segment.started;
    if (age > (this.#options.maxAgeDays * DAY) / PARTS && !this.#file.untouched) this.#rotate();
    this.#prune();
  }

  close(): void {
    this.#file.close();
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  #note(note: object, message: string): void {
    this.#options.onNote?.({ journal: this.#options.directory, ...note }, message);
  }

  #record(event: BlockEvent['event'], grants: readonly BlockGrant[]): void {
    const time = new Date(this.#now()).toISOString();
    const events = grants.map((grant): BlockEvent => ({ ...grant, time, event }));
    const text = events.map(formatLine).join('');
    if (this.#file.isGone() || (this.#isFull(text) && !this.#file.untouched)) this.#rotate();
    try {
      this.#file.append(text);
    } catch (cause) {
      throw notRecorded(event, grants, { directory: this.#options.directory, cause: cause as Error });
    }
    for (const line of events) this.#apply(line);
  }

  #isFull(text: string): boolean {
    return this.#file.bytes + Buffer.byteLength(text) > this.#segmentLimit;
  }

  #apply(line: BlockEvent): void {
    this.#replay.apply(line);
    if (line.event === 'released') {
      this.#remember({ ports: line.ports, outside: outsideOf(line), time: line.time }, performance.now());
    }
  }

  #remember(release: BlockRelease, at: number): void {
    this.#released.set(releaseText(release), { release, at });
  }

  /** The state at the end of the journal, and its last segment when that can be gone on with. */
  #recall(): Segment | undefined {
    const segments = listSegments(this.#options.directory);
    const last = segments.at(-1);
    if (last === undefined) return undefined;
    const whole = readSegment(last).lines[0]?.event === 'snapshot';
    for (const segment of whole ? [last] : segments) {
      const { lines, damaged } = readSegment(segment);
      for (const line of lines) this.#replay.apply(line);
      if (damaged.length > 0) this.#note({ path: segment.path, lines: damaged }, 'lines of the journal are damaged');
    }
    const now = this.#now();
    for (const release of this.#replay.releases.values()) {
      // One from the future was stamped before the clock was set back: as good as just now.
      const ago = Math.max(0, now - Date.parse(release.time));
      if (ago <= DAY) this.#remember(release, performance.now() - ago);
    }
    return last;
  }

  #reopen(last: Segment): { file: JournalFile; segment: Pick<Segment, 'sequence' | 'started'> } {
    const { lines, wholeBytes } = readSegment(last);
    const [snapshot] = lines;
    if (snapshot?.event !== 'snapshot') return this.#begin(last.sequence + 1);
    const file = new JournalFile(last.path, Buffer.byteLength(formatLine(snapshot)));
    if (file.bytes > wholeBytes) {
      this.#note({ path: last.path, bytes: file.bytes - wholeBytes }, 'an unfinished line of the journal was cut off');
      file.cut(wholeBytes);
    }
    this.#limit(file);
    return { file, segment: last };
  }

  /** A new segment, which knows all that must not be forgotten. */
  #begin(sequence: number): { file: JournalFile; segment: Pick<Segment, 'sequence' | 'started'> } {
    const { directory } = this.#options;
    const started = this.#now();
    const text = formatLine(this.#snapshot(started));
    const path = createFile(directory, segmentName(sequence, started), text);
    const file = new JournalFile(path, Buffer.byteLength(text));
    this.#limit(file);
    return { file, segment: { sequence, started } };
  }

  /** Snapshots are at most a fifth of what is written, however many blocks there are. */
  #limit({ untouchedBytes }: JournalFile): void {
    this.#segmentLimit = Math.max(this.#options.maxBytes / PARTS, 5 * untouchedBytes);
  }

  #snapshot(time: number): BlockSnapshot {
    const grants = [...this.#replay.live.values()].map(({ grant, from }) => {
      return { since: new Date(from).toISOString(), ...grant };
    });
    const releases = [...this.#released.values()].map(({ release }) => release);
    return { time: new Date(time).toISOString(), event: 'snapshot', grants, releases };
  }

  /** A failure leaves the segment that there is: a journal that grows is better than none. */
  #rotate(): void {
    try {
      mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
      const { file, segment } = this.#begin(this.#segment.sequence + 1);
      this.#file.close();
      this.#file = file;
      this.#segment = segment;
      this.#prune();
    } catch (error) {
      this.#note({ err: error }, 'could not begin a new segment of the journal; going on with the old one');
    }
  }

  /** The current segment always stays, and with it all grants that last. */
  #prune(): void {
    const segments = listSegments(this.#options.directory);
    let total = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    const oldest = this.#now() - this.#options.maxAgeDays * DAY;
    const { maxBytes } = this.#options;
    // A segment is larger than its part where there are many blocks.
    const most = maxBytes - (this.#segmentLimit - maxBytes / PARTS);
    for (const [index, { path, bytes }] of segments.slice(0, -1).entries()) {
      const ended = segments[index + 1]?.started ?? Infinity;
      if (ended >= oldest && total <= most) return;
      rmSync(path, { force: true });
      total -= bytes;
      this.#note({ path }, 'a segment of the journal was removed: too old, or the journal too large');
    }
  }
}

function removeUnfinished(directory: string): void {
  for (const name of readdirSync(directory)) if (name.endsWith('.tmp')) rmSync(join(directory, name), { force: true });
}

function notRecorded(
  event: BlockEvent['event'],
  grants: readonly BlockGrant[],
  { directory, cause }: { directory: string; cause: Error },
): JournalError {
  const what = grants.map(({ ports, owner }) => `${portsText(ports)} of ${ownerText(owner)}`).join(', ');
  const unchanged = event === 'granted' ? 'nobody may use them' : 'they stay taken and are tried again';
  return new JournalError(
    `cannot record that ports ${what} are ${event}: ${cause.message}; ${unchanged}; ` +
      `make room in ${directory}, or choose another --journal-dir`,
    { cause },
  );
}
