// What the API server said instead of an answer.

/** The part of a Status object that is used. */
interface Status {
  readonly message?: unknown;
  readonly reason?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown; readonly causes?: unknown } | null;
}

/** An answer other than success, or an ERROR in a watch. */
export class ApiError extends Error {
  readonly code = 'ERR_KUBERNETES_API';
  /** The HTTP status. */
  readonly status: number;
  /** As in a Status object, e.g. `Expired`; empty when there is none. */
  readonly reason: string;
  /** How long the server wants to be left alone, milliseconds. */
  readonly retryAfter: number | undefined;
  readonly #causes: readonly unknown[];

  constructor(status: number, body: unknown, retryAfterSeconds?: string) {
    const { message, reason, details } = (isObject(body) ? body : {}) as Status;
    super(`${status}: ${typeof message === 'string' ? message : 'no reason given'}`);
    this.status = status;
    this.reason = typeof reason === 'string' ? reason : '';
    const seconds = Number(retryAfterSeconds ?? details?.retryAfterSeconds);
    this.retryAfter = seconds > 0 ? seconds * 1000 : undefined;
    this.#causes = Array.isArray(details?.causes) ? details.causes : [];
  }

  /** What was asked for cannot be had from there any more: only a new list helps. */
  get outdated(): boolean {
    if (this.status === 410 || this.reason === 'Expired') return true;
    // The server's data are older than what we saw: they were restored from a backup.
    return this.#causes.some((cause) => isObject(cause) && 'reason' in cause && cause.reason === TOO_LARGE);
  }
}

const TOO_LARGE = 'ResourceVersionTooLarge';

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
