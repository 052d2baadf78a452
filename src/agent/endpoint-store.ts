// Records of this node's pods on disk: an address and a port block are taken as long as their record exists.
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ENDPOINTS_NAME } from '../api/protocol.js';
import type { Endpoint } from '../model/endpoint.js';

/** Which attachment of which container. */
export type EndpointId = Pick<Endpoint, 'containerID' | 'interfaceName'>;

/** Every change is on disk before the method returns; a crash leaves the old or the new record, never half of one. */
export class EndpointStore {
  readonly #directory: string;
  readonly #endpoints = new Map<string, Endpoint>();
  /** Files that are not records, by name, with the reason. They are left alone. */
  readonly unreadable = new Map<string, string>();

  constructor(stateDir: string) {
    this.#directory = join(stateDir, ENDPOINTS_NAME);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#directory)) this.#load(name);
  }

  list(): Endpoint[] {
    return [...this.#endpoints.values()];
  }

  get(id: EndpointId): Endpoint | undefined {
    return this.#endpoints.get(fileName(id));
  }

  put(endpoint: Endpoint): void {
    const name = fileName(endpoint);
    writeDurably(join(this.#directory, name), JSON.stringify(endpoint));
    this.#endpoints.set(name, endpoint);
  }

  /** Whether there was one. */
  remove(id: EndpointId): boolean {
    const name = fileName(id);
    rmSync(join(this.#directory, name), { force: true });
    return this.#endpoints.delete(name);
  }

  #load(name: string): void {
    const path = join(this.#directory, name);
    if (name.endsWith('.tmp')) return rmSync(path, { force: true });
    try {
      const endpoint = JSON.parse(readFileSync(path, 'utf8')) as Endpoint;
      if (fileName(endpoint) !== name) throw new Error('its name and its content differ');
      this.#endpoints.set(name, endpoint);
    } catch (error) {
      this.unreadable.set(name, (error as Error).message);
    }
  }
}

/** Container ids and interface names are checked by who takes them from outside: no slash can be in them. */
function fileName({ containerID, interfaceName }: EndpointId): string {
  return `${containerID}-${interfaceName}.json`;
}

/** Replaces a file so that a reader, or a crash, sees the old or the new content. */
export function writeDurably(path: string, content: string): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
