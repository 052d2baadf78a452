// Nothing is left to give to a new pod.

/** What is in use stays as it is. */
export class ExhaustedError extends Error {
  readonly code = 'ERR_EXHAUSTED';
  /** Seconds until something becomes free by itself; undefined when only a pod that goes away helps. */
  readonly retrySeconds: number | undefined;

  constructor(message: string, retrySeconds?: number) {
    super(message);
    this.retrySeconds = retrySeconds;
  }
}
