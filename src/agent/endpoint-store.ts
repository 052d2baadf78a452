// Records of this node's pods on disk: an address and a port block are taken as long as their record exists.
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ENDPOINTS_NAME } from '../api/protocol.js';
import type { Endpoint } from '../model/endpoint.js';

/** Which attachment of which container. */
export type EndpointId = Pick<Endpoint, 'containerID' | 'interfaceName'>;

/**
 * Every change is in its file before the method returns; a crash leaves the old or the new record, never half of one.
 * Nothing waits for the disk: a machine that crashes takes its pods with it, and nobody needs their records then.
 */
export class EndpointStore {
  readonly #directory: string;
  readonly #endpoints = new Map<string, Endpoint>();
  /** Files that are not records, by name, with the reason. They are left alone. */
  readonly unreadable = new Map<string, string>();

  constructor(stateDir: string) {
    this.#directory = join(stateDir, ENDPOINTS_NAME);
  }

  /** Reads the records, and creates their directory when it is missing. Once, before anything else. */
  load(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#directory)) this.#load(name);
  }

  list(): Endpoint[] {
    return [...this.#endpoints.values()];
  }

  get(id: EndpointId): Endpoint | undefined {
    const endpoint = this.#endpoints.get(fileName(id));
    return endpoint !== undefined && isSame(endpoint, id) ? endpoint : undefined;
  }

  /** Throws when another attachment has a record of that name: `a-b` with `c` and `a` with `b-c` would share one. */
  put(endpoint: Endpoint): void {
    const name = fileName(endpoint);
    const other = this.#endpoints.get(name);
    if (other !== undefined && !isSame(other, endpoint)) {
      throw new Error(`the record ${name} belongs to ${other.interfaceName} of container ${other.containerID}`);
    }
    replaceFile(join(this.#directory, name), JSON.stringify(endpoint));
    this.#endpoints.set(name, endpoint);
  }

  /** Whether there was one. */
  remove(id: EndpointId): boolean {
    if (this.get(id) === undefined) return false;
    const name = fileName(id);
    rmSync(join(this.#directory, name), { force: true });
    return this.#endpoints.delete(name);
  }

  #load(name: string): void {
    const path = join(this.#directory, name);
    if (name.endsWith(TEMPORARY)) {
      rmSync(path, { force: true });
      return;
    }
    try {
      const endpoint = parseRecord(readFileSync(path, 'utf8'));
      if (fileName(endpoint) !== name) throw new Error('its name and its content differ');
      this.#endpoints.set(name, endpoint);
    } catch (error) {
      this.unreadable.set(name, (error as Error).message);
    }
  }
}

/** What a crash in the middle of a write leaves behind; never a record. */
const TEMPORARY = '.json.tmp';

const Limit = z.object({ rate: z.number(), burst: z.number() });

const EndpointRecord = z.object({
  containerID: z.string(),
  interfaceName: z.string(),
  netns: z.string(),
  namespace: z.string(),
  pod: z.string(),
  podUID: z.string(),
  addresses: z.array(z.string()),
  mac: z.string(),
  hostInterface: z.string(),
  ifindex: z.int(),
  mtu: z.int(),
  // Records of agents that knew one block a pod have none of these: the pod gets new ones.
  nat: z.array(z.object({ address: z.string(), blocks: z.array(z.int()) })).default([]),
  network: z.string().optional(),
  hostPorts: z
    .array(
      z.object({
        protocol: z.enum(['TCP', 'UDP', 'SCTP']),
        hostPort: z.int(),
        containerPort: z.int(),
        hostIP: z.string(),
      }),
    )
    .optional(),
  bandwidth: z.object({ ingress: Limit.optional(), egress: Limit.optional() }).optional(),
  chained: z.boolean().optional(),
  created: z.string(),
}) satisfies z.ZodType<Endpoint>;

function parseRecord(text: string): Endpoint {
  const parsed = EndpointRecord.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  throw new Error(`not a record of a pod: ${z.prettifyError(parsed.error).replace(/\s+/g, ' ')}`);
}

function isSame(a: EndpointId, b: EndpointId): boolean {
  return a.containerID === b.containerID && a.interfaceName === b.interfaceName;
}

/** Container ids and interface names are checked by who takes them from outside: no slash can be in them. */
function fileName({ containerID, interfaceName }: EndpointId): string {
  return `${containerID}-${interfaceName}.json`;
}

/** Replaces a file so that a reader, or the agent after a crash, sees the old or the new content. */
export function replaceFile(path: string, content: string): void {
  replace(path, content, () => undefined);
}

/** The same for what has to outlive a crash of the machine: on disk when it returns. */
export function writeDurably(path: string, content: string): void {
  replace(path, content, fsyncSync);
}

function replace(path: string, content: string, settle: (descriptor: number) => void): void {
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, content);
    settle(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}
