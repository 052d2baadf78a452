// A directory of manifests as the source of the desired state: edit a file, and it is in force.
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem, Snapshot } from '../model/snapshot.js';
import { type Manifest, readManifest } from './manifest.js';
import { type Before, mergeManifests } from './merge.js';
import { type Source, SourceError } from './source.js';

/** Hidden names are temporary files of editors, and the moving parts of a mounted ConfigMap. */
const MANIFEST_NAME = /^[^.#].*\.(ya?ml|json)$/;

export interface DirectorySourceOptions {
  readonly directory: string;
  /** How long the directory must be quiet after a change, milliseconds. */
  readonly debounceMs?: number;
  /** How often it is read unasked, milliseconds: notices get lost, on some file systems all of them. */
  readonly rescanMs?: number;
}

interface Reading {
  readonly text: string;
  readonly manifest: Manifest;
}

export class DirectorySource implements Source {
  readonly kind = 'directory';
  readonly #options: Required<DirectorySourceOptions>;
  #onSnapshot: (snapshot: Snapshot) => void = () => undefined;
  #readings: ReadonlyMap<string, Reading> = new Map();
  #before: Before = { inForce: new Map() };
  #faults = '';
  #watcher: FSWatcher | undefined;
  #watched: bigint | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #rescan: NodeJS.Timeout | undefined;
  #scanning: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: DirectorySourceOptions) {
    this.#options = { debounceMs: 50, rescanMs: 3000, ...options };
  }

  get where(): string {
    return this.#options.directory;
  }

  async start(onSnapshot: (snapshot: Snapshot) => void): Promise<void> {
    const { directory } = this.#options;
    this.#onSnapshot = onSnapshot;
    await this.#watch().catch((cause: Error) => {
      const advice = 'nothing was applied; create the directory, or name another one as source';
      throw new SourceError(`cannot read the source directory ${directory}: ${cause.message}; ${advice}`, { cause });
    });
    this.#scanning = this.#scan(true);
    await this.#scanning;
    this.#rescan = setInterval(() => void this.#scanNow(), this.#options.rescanMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#quiet);
    clearInterval(this.#rescan);
    this.#watcher?.close();
    await this.#scanning;
  }

  /** Watches the directory that has the name now; it may have been replaced by another one. */
  async #watch(): Promise<void> {
    const { directory } = this.#options;
    const { ino } = await stat(directory, { bigint: true });
    if (this.#watcher !== undefined && this.#watched === ino) return;
    this.#watcher?.close();
    if (this.#closed) return;
    this.#watched = ino;
    this.#watcher = watch(directory, () => this.#changed());
    this.#watcher.on('error', () => this.#unwatch());
  }

  /** The next scan watches again. */
  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #changed(): void {
    clearTimeout(this.#quiet);
    if (!this.#closed) this.#quiet = setTimeout(() => void this.#scanNow(), this.#options.debounceMs);
  }

  /** One scan at a time; a scan asked for during another one follows it. */
  #scanNow(): Promise<void> {
    this.#scanning = this.#scanning.then(() => (this.#closed ? undefined : this.#scan(false)));
    return this.#scanning;
  }

  async #scan(always: boolean): Promise<void> {
    const { readings, faults } = await this.#read();
    const faultText = faults.map(({ where, reason }) => `${where}: ${reason}`).join('\n');
    const same = faultText === this.#faults && sameReadings(readings, this.#readings);
    if (this.#closed || (same && !always)) return;
    [this.#readings, this.#faults] = [readings, faultText];
    const manifests = [...readings.values()].map(({ manifest }) => manifest);
    const merged = mergeManifests(manifests, this.#before, faults);
    this.#before = merged;
    this.#onSnapshot(merged.snapshot);
  }

  /** What cannot be read stays as it was read last, and is a fault. */
  async #read(): Promise<{ readings: ReadonlyMap<string, Reading>; faults: Problem[] }> {
    const { directory } = this.#options;
    const names = await this.#names();
    if (names instanceof Error) return { readings: this.#readings, faults: [unreadable(directory, names, true)] };
    const readings = new Map<string, Reading>();
    const faults: Problem[] = [];
    for (const name of names) {
      const text = await readText(join(directory, name));
      const last = this.#readings.get(name);
      if (text instanceof Error) faults.push(unreadable(name, text, last !== undefined));
      if (typeof text === 'string' && text !== last?.text)
        readings.set(name, { text, manifest: readManifest(name, text) });
      else if (text !== undefined && last !== undefined) readings.set(name, last);
    }
    return { readings, faults };
  }

  async #names(): Promise<string[] | Error> {
    try {
      await this.#watch();
      const names = await readdir(this.#options.directory);
      return names.filter((name) => MANIFEST_NAME.test(name)).sort();
    } catch (error) {
      return error as Error;
    }
  }
}

/** undefined when there is no such file, or it is something else than a file. */
async function readText(path: string): Promise<string | Error | undefined> {
  try {
    return (await stat(path)).isFile() ? await readFile(path, 'utf8') : undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : (error as Error);
  }
}

function unreadable(where: string, { message }: Error, readBefore: boolean): Problem {
  const inForce = readBefore ? 'what was read from it last' : 'nothing of it';
  return { where, object: where, reason: `cannot be read: ${message}`, inForce };
}

function sameReadings(a: ReadonlyMap<string, Reading>, b: ReadonlyMap<string, Reading>): boolean {
  return a.size === b.size && [...a].every(([name, { text }]) => b.get(name)?.text === text);
}
