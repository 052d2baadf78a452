// Checks of values on their way into bytes: a value that does not fit is refused, never cut.

/** Throws RangeError when there are fewer bytes. */
export function requireSize(bytes: Uint8Array, size: number): void {
  if (bytes.length < size) throw new RangeError(`${bytes.length} bytes where at least ${size} are needed`);
}

/** Throws RangeError unless there are exactly as many. */
export function requireRange(have: number, want: { readonly length: number }, what: string): void {
  if (have !== want.length) throw new RangeError(`${have} ${what} instead of ${want.length}`);
}

export function requireByte(value: unknown): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xff) return;
  throw new RangeError(`${String(value)} is not a byte`);
}

/** Puts the name of a field in front of what its encoder complains about. */
export function pathed(name: string, encode: () => void): void {
  try {
    encode();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const separator = cause instanceof FieldError ? (cause.message.startsWith('[') ? '' : '.') : ': ';
    throw new FieldError(`${name}${separator}${cause.message}`, { cause });
  }
}

/** A field that cannot be encoded: its path, then why. */
export class FieldError extends RangeError {
  readonly code = 'ERR_FIELD';
}
