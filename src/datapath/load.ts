// Loads the datapath's object with a configuration, on the maps that an earlier one left pinned.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfError } from '../bpf/error.js';
import type { Native } from '../bpf/native.js';
import { BpfObject } from '../bpf/object.js';
import { SOCKET_PROGRAMS } from './cgroup-hooks.js';
import type { Config, Maps } from './types.gen.js';

export interface LoadOptions {
  readonly native: Native;
  readonly objectPath: string;
  /** Where maps and links are pinned: what is pinned there already is adopted. */
  readonly bpffs: string;
  /** Size of a new flow table; an adopted one keeps its size. */
  readonly flowEntries: number;
  /** Something an operator may want to know, and no error. */
  readonly onNote: (details: Readonly<Record<string, unknown>>, message: string) => void;
}

/** What the caller decides; whether checksums can be done the fast way is found by trying, and the time is now. */
export type DatapathConfig = Omit<Config, 'fast_checksum' | 'loaded'>;

export type DatapathObject = BpfObject<Maps, Config>;

/** What not every kernel has. */
export interface Features {
  /** Reading ip_summed (6.2): without it, checksums go by helpers. */
  readonly fastChecksum: boolean;
  /** Programs for sockets (5.8, bpf_loop 5.17): without them, services are for packets only. */
  readonly sockets: boolean;
  /** The program before the stack (bpf_xdp_load_bytes, 5.18): without it, every packet takes the way through tc. */
  readonly xdp: boolean;
}

export interface LoadedObject {
  readonly object: DatapathObject;
  readonly features: Features;
}

/** Pinned, so that they outlive the agent. Events and working room belong to the object that wrote them. */
const PINNED = [
  'endpoints',
  'routes',
  'services',
  'backends',
  'maglev',
  'source_ranges',
  'serving',
  'direct_backends',
  'hits',
  'affinities',
  'flows',
  'mappings',
  'socket_peers',
  'datagram_peers',
  'fragments',
  'detour_sources',
  'detour_totals',
  'fragment_stats',
  'drops',
  'flow_locks',
  'flow_totals',
  'flow_counts',
  'nat_counters',
  'xdp_counters',
  'shortages',
  'sweeps',
] as const;

/** By mode. */
export const XDP_PROGRAMS = { native: 'xdp_native', generic: 'xdp_generic' } as const;

const MISSED: Readonly<Record<keyof Features, string>> = {
  fastChecksum: 'checksums go by helpers: the fast way did not load',
  sockets: 'services are for packets only: the programs for sockets did not load',
  xdp: 'no packet is handled before the stack: the xdp program did not load',
};

/**
 * Loads with as many of `wanted` as the kernel takes; what was found missing is in the answer, so that nobody tries
 * again. Throws BpfError, the first try's; nothing is attached then.
 */
export async function loadObject(
  options: LoadOptions,
  config: DatapathConfig,
  wanted: Features,
): Promise<LoadedObject> {
  let first: unknown;
  for (const features of attempts(wanted)) {
    try {
      const object = await loadWith(options, config, features);
      if (first !== undefined) noteMissed(options, { wanted, features, reason: (first as Error).message });
      return { object, features };
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

/** Everything that is wanted, then without one of them, without two, without any. */
function attempts(wanted: Features): Features[] {
  const both = [true, false];
  const all = both.flatMap((fastChecksum) =>
    both.flatMap((sockets) => both.map((xdp): Features => ({ fastChecksum, sockets, xdp }))),
  );
  const names = Object.keys(MISSED) as (keyof Features)[];
  const missing = (features: Features) => names.filter((name) => !features[name]).length;
  return all
    .filter((features) => names.every((name) => wanted[name] || !features[name]))
    .toSorted((one, other) => missing(one) - missing(other));
}

interface Missed {
  readonly wanted: Features;
  readonly features: Features;
  readonly reason: string;
}

function noteMissed({ onNote }: LoadOptions, { wanted, features, reason }: Missed): void {
  for (const name of Object.keys(MISSED) as (keyof Features)[]) {
    if (wanted[name] && !features[name]) onNote({ reason }, MISSED[name]);
  }
}

async function loadWith(options: LoadOptions, config: DatapathConfig, features: Features): Promise<DatapathObject> {
  const { native, objectPath, bpffs, flowEntries } = options;
  const object = BpfObject.open<Maps, Config>(native, objectPath);
  try {
    mkdirSync(join(bpffs, 'links'), { recursive: true });
    object.configure({ ...config, loaded: secondsNow(), fast_checksum: features.fastChecksum ? 1 : 0 });
    object.setMaxEntries('flows', flowEntries);
    for (const program of SOCKET_PROGRAMS) object.setAutoload(program, features.sockets);
    for (const program of Object.values(XDP_PROGRAMS)) object.setAutoload(program, features.xdp);
    const created = PINNED.filter((name) => !reuse(options, object, name));
    await object.load();
    for (const name of created) object.pinMap(name, join(bpffs, name));
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

/** Of the kernel's monotonic clock. */
function secondsNow(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n);
}

/** A pinned map of another layout cannot be read by the new programs: it gives way to an empty one. */
function reuse(
  { bpffs, flowEntries, onNote }: LoadOptions,
  object: DatapathObject,
  name: (typeof PINNED)[number],
): boolean {
  const path = join(bpffs, name);
  try {
    const reused = object.reuseMap(name, path);
    if (reused && name === 'flows') noteSize(object, { flowEntries, onNote });
    return reused;
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== 'ERR_LAYOUT') throw error;
    const lost = name === 'flows' ? 'translated connections begin anew' : 'it is filled again';
    onNote({ map: name, reason: error.message }, `pinned map has another layout: ${lost}`);
    rmSync(path, { force: true });
    return false;
  }
}

/** Connections are worth more than another size. */
function noteSize(object: DatapathObject, { flowEntries, onNote }: Pick<LoadOptions, 'flowEntries' | 'onNote'>): void {
  const entries = object.maps().find(({ name }) => name === 'flows')?.maxEntries;
  if (entries === undefined || entries === flowEntries) return;
  onNote({ entries, wanted: flowEntries }, 'the flow table that is in use keeps its size until the node starts anew');
}
