// What is kept of an object of the API server: the model's form of it, or why there is none. Pure.
import type { FaultCode } from '../../model/fault.js';
import { type Converted, convert, identify } from '../convert.js';
import type { Kind } from '../kinds.js';
import { ConvertError } from '../schema.js';

export interface Observed {
  /** `namespace/name` or `name`. */
  readonly key: string;
  readonly version: string;
  /** undefined when it was refused, or the datapath has no use for it. */
  readonly object: Converted['object'] | undefined;
  /** Why it was refused. */
  readonly reason: string | undefined;
  readonly code?: FaultCode;
  /** Of our own kinds: who writes their status needs it. */
  readonly own: OwnObject | undefined;
}

/** What the status of an object is written for, and what it says. */
export interface OwnObject {
  readonly version: string;
  readonly generation: number;
  readonly conditions: readonly unknown[];
}

interface RawMetadata {
  readonly resourceVersion?: unknown;
  readonly generation?: unknown;
}

/** Never throws: what is wrong with an object is kept as its reason. */
export function observe(kind: Kind, raw: Readonly<Record<string, unknown>>): Observed {
  const { resourceVersion = '' } = (raw.metadata ?? {}) as RawMetadata;
  const header = { key: identify(raw)?.key ?? '', version: String(resourceVersion), own: ownOf(raw) };
  try {
    const converted = convert(raw);
    if (converted !== undefined && converted.kind !== kind) throw new ConvertError(`kind: is no ${kind}`, ['kind']);
    return { ...header, object: converted?.object, reason: undefined };
  } catch (error) {
    const code = error instanceof ConvertError ? { code: error.fault } : {};
    return { ...header, object: undefined, reason: (error as Error).message, ...code };
  }
}

function ownOf({ apiVersion, metadata, status }: Readonly<Record<string, unknown>>): OwnObject | undefined {
  if (typeof apiVersion !== 'string' || !apiVersion.startsWith('isthmus.dev/')) return undefined;
  const { resourceVersion = '', generation } = (metadata ?? {}) as RawMetadata;
  const { conditions } = (status ?? {}) as { conditions?: unknown };
  return {
    version: String(resourceVersion),
    generation: typeof generation === 'number' ? generation : 0,
    conditions: Array.isArray(conditions) ? conditions : [],
  };
}
