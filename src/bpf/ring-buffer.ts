// Events: every record of a ring buffer starts with the BTF id of its own type.
import type { Codecs } from '../btf/codec.js';
import { type Btf, type BtfType, sizeOf } from '../btf/types.js';
import type { Native, NativeMap } from './native.js';

/** One record: the name of its struct, decoded; or its bytes when the object's BTF does not have the type. */
export type RingEvent =
  | { readonly type: string; readonly value: unknown }
  | { readonly type: undefined; readonly value: Buffer };

export interface EventReader extends Disposable {
  close(): void;
}

export interface EventReaderOptions {
  readonly native: Native;
  /** A ring buffer; not needed any more when this returns. */
  readonly handle: NativeMap;
  readonly btf: Btf;
  readonly codecs: Codecs;
  /** All events of one drain, in order. */
  readonly onEvents: (events: readonly RingEvent[]) => void;
}

export function openEventReader({ native, handle, btf, codecs, onEvents }: EventReaderOptions): EventReader {
  const ring = native.openRingBuffer(handle, (records) => onEvents(decodeRecords(records, btf, codecs)));
  const close = (): void => ring.close();
  return { close, [Symbol.dispose]: close };
}

/** Splits a drain: u32 length, u32 zero, bytes padded to 8. */
export function decodeRecords(records: Buffer, btf: Btf, codecs: Codecs): RingEvent[] {
  const events: RingEvent[] = [];
  for (let offset = 0; offset + 8 <= records.length; ) {
    const length = records.readUInt32LE(offset);
    events.push(decodeRecord(records.subarray(offset + 8, offset + 8 + length), btf, codecs));
    offset += 8 + ((length + 7) & ~7);
  }
  return events;
}

function decodeRecord(record: Buffer, btf: Btf, codecs: Codecs): RingEvent {
  const type = record.length >= 4 ? btf[record.readUInt32LE(0)] : undefined;
  if (!isEvent(type) || record.length < sizeOf(btf, type.id)) return { type: undefined, value: Buffer.from(record) };
  return { type: type.name, value: codecs(type.id).decode(record) };
}

function isEvent(type: BtfType | undefined): type is BtfType {
  return type?.kind === 'struct';
}
