// The maps that Services are in, as the agent opens them, and how long the kernel takes for what is written to them.
import { readdirSync, readFileSync } from 'node:fs';
import type { Native, NativeMap, NativeObject } from '../../bpf/native.js';
import { loadNative } from '../../bpf/native.js';
import { BpfObject } from '../../bpf/object.js';
import { openMaps } from '../../datapath/maps.js';
import type { DatapathMaps } from '../../datapath/reconcile.js';
import type { Config, Maps } from '../../datapath/types.gen.js';
import { OBJECT } from '../loaded.js';

export interface TimedMaps {
  readonly maps: DatapathMaps;
  /** Nanoseconds in calls to the kernel, copies across the addon included, since the last time it was asked. */
  takeNanoseconds(): number;
  close(): void;
}

/** New maps of the real sizes. No program is loaded. */
export async function openTimedMaps(): Promise<TimedMaps> {
  let nanoseconds = 0n;
  const timed = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (_, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => {
          const started = process.hrtime.bigint();
          try {
            return member.apply(target, args);
          } finally {
            nanoseconds += process.hrtime.bigint() - started;
          }
        };
      },
    });
  const object = BpfObject.open<Maps, Config>(withMaps(loadNative(), timed), OBJECT);
  for (const { name } of object.programs()) object.setAutoload(name, false);
  await object.load();
  return {
    maps: openMaps(object),
    takeNanoseconds: () => {
      const taken = Number(nanoseconds);
      nanoseconds = 0n;
      return taken;
    },
    close: () => object.close(),
  };
}

/** The addon, but for the maps of its objects. */
function withMaps(native: Native, wrap: (map: NativeMap) => NativeMap): Native {
  const substitute = <T extends object>(target: T, replaced: Partial<T>): T =>
    new Proxy(target, {
      get: (_, name) => {
        if (Object.hasOwn(replaced, name)) return replaced[name as keyof T];
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
  return substitute(native, {
    openObject: (path: string): NativeObject => {
      const object = native.openObject(path);
      return substitute(object, { map: (name: string) => wrap(object.map(name)) });
    },
  });
}

/** Bytes of kernel memory of all maps that this process holds. */
export function mapBytes(): number {
  const directory = '/proc/self/fdinfo';
  const byId = new Map<string, number>();
  for (const name of readdirSync(directory)) {
    const fields = readFields(`${directory}/${name}`);
    const id = fields.get('map_id');
    if (id !== undefined) byId.set(id, Number(fields.get('memlock')));
  }
  return [...byId.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** Of a descriptor that was closed meanwhile there are none. */
function readFields(path: string): Map<string, string> {
  try {
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    return new Map(lines.map((line): [string, string] => [line.split(':')[0] ?? '', line.split(':')[1]?.trim() ?? '']));
  } catch {
    return new Map();
  }
}
