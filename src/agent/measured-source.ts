// A source with what the agent tells about it.
import type { Metric } from 'prom-client';
import type { Source } from '../source/source.js';

export interface MeasuredSource extends Source {
  readonly metrics?: readonly Metric[];
  /** RFC 3339: nobody answers, and what was delivered had last become so then. */
  readonly kept?: string | undefined;
}
