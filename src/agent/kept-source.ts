// A source that starts from what was known last when nobody answers: pods can be added while the API server is away.
import type { Snapshot } from '../model/snapshot.js';
import type { MeasuredSource } from './measured-source.js';
import type { SnapshotFile } from './snapshot-file.js';

export interface KeptSourceOptions {
  readonly source: MeasuredSource;
  readonly file: Pick<SnapshotFile, 'read' | 'put' | 'close'>;
  /** Nobody has answered so far; what was known at that time is in force now. */
  readonly onKept: (time: string) => void;
  /** Milliseconds until the source counts as away. */
  readonly patience?: number;
}

/** Longer than a list of everything takes: what is newer is better. */
const PATIENCE = 10_000;

export class KeptSource implements MeasuredSource {
  readonly kind: MeasuredSource['kind'];
  readonly where: string;
  readonly metrics: NonNullable<MeasuredSource['metrics']>;
  readonly #options: KeptSourceOptions;
  #kept: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: KeptSourceOptions) {
    this.#options = options;
    this.kind = options.source.kind;
    this.where = options.source.where;
    this.metrics = options.source.metrics ?? [];
  }

  /** Set while what was delivered is from before this agent started; RFC 3339: when it had last become so. */
  get kept(): string | undefined {
    return this.#kept;
  }

  async start(onSnapshot: (snapshot: Snapshot) => void): Promise<void> {
    const { source, file, patience = PATIENCE } = this.#options;
    const away = new Promise<void>((resolve) => {
      this.#timer = setTimeout(() => this.#fallBack(onSnapshot) && resolve(), patience);
    });
    const heard = source.start((snapshot) => {
      clearTimeout(this.#timer);
      this.#kept = undefined;
      file.put(snapshot);
      onSnapshot(snapshot);
    });
    heard.catch(() => undefined); // once it is late, nobody waits for it
    await Promise.race([heard, away]);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#options.source.close();
    await this.#options.file.close();
  }

  /** Whether there was anything. */
  #fallBack(onSnapshot: (snapshot: Snapshot) => void): boolean {
    const kept = this.#options.file.read();
    if (kept === undefined) return false;
    this.#kept = kept.time;
    this.#options.onKept(kept.time);
    onSnapshot(kept.snapshot);
    return true;
  }
}
