// Loads the datapath's object with a configuration, on the maps that an earlier one left pinned.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfError } from '../bpf/error.js';
import type { Native } from '../bpf/native.js';
import { BpfObject } from '../bpf/object.js';
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

/** What the caller decides; whether checksums can be done the fast way is found by trying. */
export type DatapathConfig = Omit<Config, 'fast_checksum'>;

export type DatapathObject = BpfObject<Maps, Config>;

export interface LoadedObject {
  readonly object: DatapathObject;
  readonly fastChecksum: boolean;
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
  'affinities',
  'flows',
  'mappings',
  'fragments',
  'detour_sources',
  'detour_totals',
  'fragment_stats',
  'drops',
  'nat_counters',
  'sweeps',
] as const;

/**
 * Reading ip_summed needs a kernel that offers it (6.2): without it, checksums go by helpers. `fastChecksum` says
 * whether to try. Throws BpfError; nothing is attached then.
 */
export async function loadObject(
  options: LoadOptions,
  config: DatapathConfig,
  fastChecksum: boolean,
): Promise<LoadedObject> {
  try {
    return { object: await loadWith(options, { ...config, fast_checksum: fastChecksum ? 1 : 0 }), fastChecksum };
  } catch (error) {
    if (!fastChecksum) throw error;
    const object = await loadWith(options, { ...config, fast_checksum: 0 }).catch(() => {
      throw error;
    });
    options.onNote({ reason: (error as Error).message }, 'checksums go by helpers: the fast way did not load');
    return { object, fastChecksum: false };
  }
}

async function loadWith(options: LoadOptions, config: Config): Promise<DatapathObject> {
  const { native, objectPath, bpffs, flowEntries } = options;
  const object = BpfObject.open<Maps, Config>(native, objectPath);
  try {
    mkdirSync(join(bpffs, 'links'), { recursive: true });
    object.configure(config);
    object.setMaxEntries('flows', flowEntries);
    const created = PINNED.filter((name) => !reuse(options, object, name));
    await object.load();
    for (const name of created) object.pinMap(name, join(bpffs, name));
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

/** A pinned map of another layout cannot be read by the new programs: it gives way to an empty one. */
function reuse({ bpffs, onNote }: LoadOptions, object: DatapathObject, name: (typeof PINNED)[number]): boolean {
  const path = join(bpffs, name);
  try {
    return object.reuseMap(name, path);
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== 'ERR_LAYOUT') throw error;
    const lost = name === 'flows' ? 'translated connections begin anew' : 'it is filled again';
    onNote({ map: name, reason: error.message }, `pinned map has another layout: ${lost}`);
    rmSync(path, { force: true });
    return false;
  }
}
