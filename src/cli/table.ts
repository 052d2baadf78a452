// Pinned maps as tables of decoded rows: every field by the name that the map's own BTF gives it.
import type { Instance } from '../api/instances.js';
import { KernelMap } from '../bpf/map.js';
import { loadNative, type MapInfo, type NativeMap } from '../bpf/native.js';
import { parseBtf } from '../btf/parse.js';
import { type Btf, findType } from '../btf/types.js';
import { CliError, EXIT } from './exit.js';
import { pinOf } from './pins.js';
import type { Entry } from './view/dump.js';
import type { EnumValue } from './view/flags.js';

export interface Row<K, V> {
  readonly key: K;
  readonly value: V;
}

/** One pinned map. A walk that meets a concurrent change may show a row twice or not at all. */
export interface Table<K, V> extends Disposable {
  readonly info: MapInfo;
  /** Path of the pin. */
  readonly pin: string;
  /** Values of per-CPU maps are arrays, one element a CPU. */
  rows(): Generator<Row<K, V>>;
  rawRows(): Generator<Entry<Buffer>>;
  lookup(key: K): V | undefined;
  /** Walks the map without decoding it. */
  count(): number;
  /** The values of an enum in the map's BTF. Throws CliError when it has no such enum. */
  enumValues(name: string): readonly EnumValue[];
}

/** The same map of several instances. */
export interface Tables<K, V> extends Disposable {
  readonly all: readonly { readonly instance: Instance; readonly table: Table<K, V> }[];
}

/** Opens the same map on every instance. Throws CliError: no such map, no permission, no BTF. */
export async function openTables<K, V>(instances: readonly Instance[], map: string): Promise<Tables<K, V>> {
  const open = async (instance: Instance) => ({ instance, table: await openTable<K, V>(instance, map) });
  const all = await Promise.all(instances.map(open));
  return {
    all,
    [Symbol.dispose]: () => {
      for (const { table } of all) table[Symbol.dispose]();
    },
  };
}

/** Opens a pinned map of an instance. K and V are what the map's BTF decodes to. Throws CliError. */
export async function openTable<K, V>(instance: Instance, map: string): Promise<Table<K, V>> {
  const pin = await pinOf(instance, map);
  try {
    return createTable<K, V>(loadNative().openPinnedMap(pin), pin);
  } catch (cause) {
    throw explain(cause, pin);
  }
}

/** Rows of one call into the kernel: a few milliseconds. */
const BATCH = 4096;

function createTable<K, V>(handle: NativeMap, pin: string): Table<K, V> {
  let opened: KernelMap<K, V> | undefined;
  // Made on first use: a map without BTF can still be counted and dumped raw.
  const map = (): KernelMap<K, V> => {
    opened ??= openKernelMap<K, V>(handle, pin);
    return opened;
  };
  return {
    info: handle.info,
    pin,
    rows: () => rows(map()),
    rawRows: () => rawRows(handle),
    lookup: (key) => map().get(key),
    count: () => countRows(handle),
    enumValues: (name) => enumValues(map().btf, name, pin),
    [Symbol.dispose]: () => handle.close(),
  };
}

/** Reads the map with its own BTF, so that a datapath of another version is shown as it is. */
function openKernelMap<K, V>(handle: NativeMap, pin: string): KernelMap<K, V> {
  const { keyTypeId, valueTypeId } = handle.info;
  const bytes = handle.btf();
  if (bytes.length === 0 || keyTypeId === 0 || valueTypeId === 0) {
    throw new CliError(EXIT.unreachable, `map ${pin} has no BTF, so its fields have no names: use --raw`);
  }
  const cpus = loadNative().possibleCpus;
  return new KernelMap<K, V>({ handle, btf: parseBtf(bytes), keyTypeId, valueTypeId, cpus });
}

function* rows<K, V>(map: KernelMap<K, V>): Generator<Row<K, V>> {
  for (const [key, value] of map.scan()) yield { key, value };
}

function* rawRows(map: NativeMap): Generator<Entry<Buffer>> {
  const { keySize } = map.info;
  const iterator = map.iterate();
  for (let batch = iterator.next(BATCH); batch !== undefined; batch = iterator.next(BATCH)) {
    const valueSize = batch.values.length / batch.count;
    for (let index = 0; index < batch.count; index++) {
      const key = batch.keys.subarray(index * keySize, (index + 1) * keySize);
      yield { key, value: batch.values.subarray(index * valueSize, (index + 1) * valueSize) };
    }
  }
}

function countRows(map: NativeMap): number {
  const iterator = map.iterate();
  let count = 0;
  for (let batch = iterator.next(BATCH); batch !== undefined; batch = iterator.next(BATCH)) count += batch.count;
  return count;
}

function enumValues(btf: Btf, name: string, pin: string): EnumValue[] {
  const found = findType(btf, 'enum', name);
  if (found !== undefined) return found.values.map((each) => ({ name: each.name, value: Number(each.value) }));
  throw new CliError(EXIT.unreachable, `the BTF of map ${pin} has no enum ${name}: another version of isthmus made it`);
}

function explain(cause: unknown, pin: string): unknown {
  if (cause instanceof CliError || !(cause instanceof Error)) return cause;
  const code = 'code' in cause ? String(cause.code) : '';
  if (code === 'EPERM' || code === 'EACCES') {
    return new CliError(EXIT.permission, `no permission to read map ${pin}; run as root`, { cause });
  }
  if (code === 'MODULE_NOT_FOUND') {
    return new CliError(EXIT.unreachable, `cannot read maps: the native addon is not built; run \`npm run build\``, {
      cause,
    });
  }
  return new CliError(EXIT.unreachable, `cannot read map ${pin}: ${cause.message}`, { cause });
}
