// The typed object: opened, configured, given the pinned maps of its predecessor, verified, loaded and pinned.
import { type Codecs, createCodecs } from '../btf/codec.js';
import { layoutDifferences } from '../btf/compatible.js';
import { parseBtf } from '../btf/parse.js';
import { type Btf, findType, typeOf } from '../btf/types.js';
import { BpfError, isNativeError, messageOf } from './error.js';
import { KernelMap } from './map.js';
import type { MapInfo, Native, NativeMap, NativeObject, NativeProgram, ProgramInfo } from './native.js';
import { type EventReader, openEventReader, type RingEvent } from './ring-buffer.js';
import { SEMANTICS } from './semantics.js';

/** Key and value types by map name, as the generated `Maps` has them. */
export type MapTypes = object;

type KeyOf<M, N extends keyof M> = M[N] extends { readonly key: infer K } ? K : unknown;
type ValueOf<M, N extends keyof M> = M[N] extends { readonly value: infer V } ? V : unknown;

/** An object file; M are its maps, C is its configuration, the variable `config` in .rodata. */
export class BpfObject<M extends MapTypes = Record<string, unknown>, C extends object = Record<string, unknown>>
  implements Disposable
{
  readonly path: string;
  readonly btf: Btf;
  readonly #native: Native;
  readonly #handle: NativeObject;
  readonly #codecs: Codecs;

  private constructor(native: Native, path: string, handle: NativeObject) {
    this.path = path;
    this.#native = native;
    this.#handle = handle;
    this.btf = parseBtf(handle.btf);
    this.#codecs = createCodecs(this.btf, SEMANTICS);
  }

  /** Reads the file; nothing is in the kernel yet. Needs no privilege. */
  static open<M extends MapTypes = Record<string, unknown>, C extends object = Record<string, unknown>>(
    native: Native,
    path: string,
  ): BpfObject<M, C> {
    return new BpfObject<M, C>(native, path, native.openObject(path));
  }

  maps(): MapInfo[] {
    return this.#handle.maps();
  }

  programs(): ProgramInfo[] {
    return this.#handle.programs();
  }

  /** The configuration as it will be loaded. */
  get config(): C {
    const { offset, typeId } = this.#configVariable();
    return this.#codecs<C>(typeId).decode(this.#handle.rodata(), offset);
  }

  /** Sets fields of the configuration (before load); the others keep their values. */
  configure(fields: Partial<C>): void {
    const { offset, typeId } = this.#configVariable();
    const rodata = this.#handle.rodata();
    const codec = this.#codecs<C>(typeId);
    codec.encodeInto({ ...codec.decode(rodata, offset), ...fields }, rodata, offset);
    this.#handle.setRodata(rodata);
  }

  setMaxEntries(map: keyof M & string, entries: number): void {
    this.#handle.setMaxEntries(map, entries);
  }

  /** Leaves a program out, or takes in one that is left out by default (before load). */
  setAutoload(program: string, load: boolean): void {
    this.#handle.setAutoload(program, load);
  }

  /** Why the map pinned at `path` cannot be used as this object's; empty when it can. */
  pinnedMapDifferences(map: keyof M & string, path: string): string[] {
    const pinned = this.#native.openPinnedMap(path);
    try {
      return mapDifferences(pinned, this.#mapInfo(map), this.btf);
    } finally {
      pinned.close();
    }
  }

  /**
   * Uses the map pinned at `path`, with its contents and its size, instead of a new one (before load).
   * Returns false when nothing is pinned there. Throws BpfError with code ERR_LAYOUT when the layouts differ.
   */
  reuseMap(map: keyof M & string, path: string): boolean {
    try {
      const differences = this.pinnedMapDifferences(map, path);
      if (differences.length > 0) throw layoutError(map, path, differences);
      this.#handle.reuseMap(map, path);
      return true;
    } catch (error) {
      if (isNativeError(error) && error.code === 'ENOENT') return false;
      throw error;
    }
  }

  /** Verifies and loads all programs and creates the maps. Throws BpfError with the verifier's reason. */
  async load(): Promise<void> {
    try {
      await this.#handle.load();
    } catch (cause) {
      throw new BpfError(`cannot load ${this.path}: ${messageOf(cause)}; nothing was attached${this.#advice()}`, {
        cause,
      });
    }
  }

  pinMap(map: keyof M & string, path: string): void {
    this.#handle.pinMap(map, path);
  }

  /** A handle of its own: to be closed by who asked. After load. */
  map<N extends keyof M & string>(name: N): KernelMap<KeyOf<M, N>, ValueOf<M, N>> {
    const { keyTypeId, valueTypeId } = this.#mapInfo(name);
    const handle = this.#handle.map(name);
    return new KernelMap({ handle, btf: this.btf, keyTypeId, valueTypeId, cpus: this.#native.possibleCpus });
  }

  /** A handle of its own: to be closed by who asked. After load. */
  program(name: string): NativeProgram {
    return this.#handle.program(name);
  }

  /** Bytes of one of the object's structs, e.g. the argument of a syscall program. */
  encodeStruct(name: string, value: object): Buffer {
    const type = findType(this.btf, 'struct', name);
    if (type === undefined) throw new BpfError(`${this.path} has no struct ${name}`);
    return this.#codecs<object>(type.id).encode(value);
  }

  /** Reads the events of a ring buffer map until the reader is closed. */
  readEvents(map: string, onEvents: (events: readonly RingEvent[]) => void): EventReader {
    const handle = this.#handle.map(map);
    try {
      return openEventReader({ native: this.#native, handle, btf: this.btf, codecs: this.#codecs, onEvents });
    } finally {
      handle.close();
    }
  }

  close(): void {
    this.#handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #mapInfo(name: string): MapInfo {
    const info = this.maps().find((map) => map.name === name);
    if (info === undefined) throw new BpfError(`no map ${name} in ${this.path}`, { code: 'ENOENT' });
    return info;
  }

  #configVariable(): { offset: number; typeId: number } {
    for (const { type, offset } of findType(this.btf, 'section', '.rodata')?.variables ?? []) {
      const variable = typeOf(this.btf, type);
      if (variable.kind === 'variable' && variable.name === 'config') return { offset, typeId: variable.type };
    }
    throw new BpfError(`${this.path} has no variable 'config' in .rodata`);
  }

  /** Without its BTF the kernel can verify nothing that was compiled for any kernel. */
  #advice(): string {
    try {
      this.#native.kernelBtf();
      return '';
    } catch {
      return '; the kernel has no BTF: use one built with CONFIG_DEBUG_INFO_BTF=y';
    }
  }
}

function mapDifferences(pinned: NativeMap, wanted: MapInfo, btf: Btf): string[] {
  const { info } = pinned;
  const differences = (['type', 'flags', 'keySize', 'valueSize'] as const)
    .filter((name) => info[name] !== wanted[name])
    .map((name) => `${wanted.name}: ${name} ${info[name]} became ${wanted[name]}`);
  const bytes = pinned.btf();
  if (bytes.length === 0) return [...differences, `${wanted.name}: the pinned map has no BTF`];
  const before = parseBtf(bytes);
  return [
    ...differences,
    ...layoutDifferences({ btf: before, typeId: info.keyTypeId }, { btf, typeId: wanted.keyTypeId }),
    ...layoutDifferences({ btf: before, typeId: info.valueTypeId }, { btf, typeId: wanted.valueTypeId }),
  ];
}

function layoutError(map: string, path: string, differences: readonly string[]): BpfError {
  const text = differences.join('; ');
  return new BpfError(
    `cannot use the pinned map ${path} as ${map}: ${text}; it stays as it is; unpin it to start with an empty one`,
    { code: 'ERR_LAYOUT' },
  );
}
