// The smallest part of a codec: one value at one offset.

/** Bytes with both ways to look at them. */
export interface Window {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Reads and writes one value at an offset; the size is checked by who calls. */
export interface Field {
  decode(window: Window, offset: number): unknown;
  encode(window: Window, offset: number, value: unknown): void;
}

/** What a typedef's name means: it takes precedence over the type behind it. */
export interface Semantic extends Field {
  /** Bytes; a typedef of another size keeps its plain meaning. */
  readonly size: number;
  /** The TypeScript type of a decoded value. */
  readonly typescript: string;
}

export type Semantics = Readonly<Record<string, Semantic>>;

export function windowOf(bytes: Uint8Array): Window {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}
