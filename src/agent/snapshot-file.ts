// The last desired state on disk, for an agent that starts while the API server is away.
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { Snapshot } from '../model/snapshot.js';

export const SNAPSHOT_NAME = 'snapshot.json';

/** Whose state it is: what others wrote, or an agent of another version, is nothing to start from. */
export interface SnapshotOwner {
  readonly version: string;
  readonly node: string;
  /** URL of the API server. */
  readonly where: string;
}

export interface SnapshotFileOptions {
  readonly path: string;
  readonly owner: SnapshotOwner;
  /** It could not be written; said each time. */
  readonly onTrouble: (error: Error) => void;
  /** Milliseconds between two writes at least: all of it is written each time. */
  readonly pace?: number;
}

/** What was known, and when it had last become so. */
export interface KeptSnapshot {
  /** RFC 3339. */
  readonly time: string;
  readonly snapshot: Snapshot;
}

const PACE = 10_000;
/** Objects that are made to text at once: a millisecond of work. */
const PIECE = 200;
const MAPS = ['nodes', 'podPools', 'egressPools', 'services', 'slices'] as const;

const entries = z.array(z.tuple([z.string(), z.looseObject({})]));
const schema = z.object({
  owner: z.object({ version: z.string(), node: z.string(), where: z.string() }),
  time: z.string(),
  network: z.looseObject({ clusterID: z.string() }),
  nodes: entries,
  podPools: entries,
  egressPools: entries,
  services: entries,
  slices: entries,
});

export class SnapshotFile {
  readonly #options: SnapshotFileOptions;
  #latest: KeptSnapshot | undefined;
  #written: Snapshot | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: SnapshotFileOptions) {
    this.#options = options;
  }

  /** undefined when there is none that this agent can start from. */
  read(): KeptSnapshot | undefined {
    const { path, owner } = this.#options;
    try {
      const { time, owner: writer, network, ...maps } = schema.parse(JSON.parse(readFileSync(path, 'utf8')));
      if (JSON.stringify(writer) !== JSON.stringify(owner)) return undefined;
      const read = Object.fromEntries(MAPS.map((name) => [name, new Map(maps[name])]));
      // Of this version, so of this shape.
      return { time, snapshot: { network, ...read, problems: [] } as unknown as Snapshot };
    } catch {
      return undefined;
    }
  }

  /** Writes it soon. One without a ClusterNetwork is nothing that pods could be added by. */
  put(snapshot: Snapshot): void {
    if (snapshot.network === undefined) return;
    this.#latest = { time: new Date().toISOString(), snapshot };
    if (this.#timer !== undefined) return;
    const wait = this.#writtenAt + (this.#options.pace ?? PACE) - performance.now();
    this.#timer = setTimeout(() => this.#write(), Math.max(0, wait)).unref();
  }

  /** Resolves when the latest is on disk. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#write();
    await this.#writing;
  }

  #write(): void {
    this.#timer = undefined;
    const latest = this.#latest;
    if (latest === undefined || latest.snapshot === this.#written) return;
    this.#written = latest.snapshot;
    this.#writtenAt = performance.now();
    this.#writing = this.#writing.then(() => this.#replace(latest)).catch(this.#options.onTrouble);
  }

  /** A reader, or a crash, sees the old or the new one. */
  async #replace({ time, snapshot }: KeptSnapshot): Promise<void> {
    const { path, owner } = this.#options;
    const head = { owner, time, network: snapshot.network };
    // Now: a map may be another one when its turn comes.
    const lists = MAPS.map((name) => [name, [...snapshot[name]]] as const);
    const temporary = `${path}.tmp`;
    await writeFile(temporary, textOf(head, lists), { mode: 0o600 });
    await rename(temporary, path);
  }
}

type Lists = readonly (readonly [name: string, entries: readonly unknown[]])[];

/** JSON in pieces: events are handled between two of them, and nobody ever holds all of it. */
function* textOf(head: object, lists: Lists): Generator<string> {
  yield JSON.stringify(head).slice(0, -1);
  for (const [name, list] of lists) {
    yield `,${JSON.stringify(name)}:[`;
    for (let begin = 0; begin < list.length; begin += PIECE) {
      const piece = JSON.stringify(list.slice(begin, begin + PIECE)).slice(1, -1);
      yield begin === 0 ? piece : `,${piece}`;
    }
    yield ']';
  }
  yield '}\n';
}
