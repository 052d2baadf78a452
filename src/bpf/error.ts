// The error of this layer: what failed, why, what stayed unchanged, what to do next.
import type { NativeError } from './native.js';

export class BpfError extends Error {
  readonly code: string;
  /** The end of the verifier's log, when a program was refused. */
  readonly log: string | undefined;

  /** The code of the cause is kept, e.g. ENOENT, so that callers may tell causes apart. */
  constructor(message: string, options: { cause?: unknown; code?: string } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    const cause = isNativeError(options.cause) ? options.cause : undefined;
    this.code = options.code ?? cause?.code ?? 'ERR_BPF';
    this.log = cause?.log;
  }
}

export function isNativeError(error: unknown): error is NativeError {
  return error instanceof Error && 'operation' in error && 'code' in error;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
