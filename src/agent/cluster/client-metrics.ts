// What Prometheus reads of our conversation with the API server: client-go's names, and our own beside them.
import { Counter, Gauge, Histogram, type Metric } from 'prom-client';
import type { RequestDone } from '../../kubernetes/api-client.js';

export class ClientMetrics {
  readonly #host: string;
  readonly #requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server, by status code, verb and host',
    labelNames: ['code', 'method', 'host'],
    registers: [],
  });
  readonly #duration = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Until an answer of the API server began',
    labelNames: ['verb', 'host'],
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    registers: [],
  });
  readonly #events = new Counter({
    name: 'isthmus_source_events_total',
    help: 'Events of watches',
    labelNames: ['kind', 'type'],
    registers: [],
  });
  readonly #last = new Gauge({
    name: 'isthmus_informer_last_event_timestamp_seconds',
    help: 'When the API server was heard of a kind last, bookmarks included',
    labelNames: ['kind'],
    registers: [],
  });
  readonly #troubles = new Counter({
    name: 'isthmus_source_errors_total',
    help: 'Lists and watches that failed and were tried again',
    labelNames: ['path'],
    registers: [],
  });
  readonly #leading = new Gauge({
    name: 'isthmus_leader',
    help: '1 on the node whose agent writes the status of our kinds',
    registers: [],
  });

  /** `host`: of the API server. */
  constructor(host: string) {
    this.#host = host;
  }

  /** To be registered. */
  get all(): readonly Metric[] {
    return [this.#requests, this.#duration, this.#events, this.#last, this.#troubles, this.#leading];
  }

  readonly countRequest = ({ verb, code, seconds }: RequestDone): void => {
    const host = this.#host;
    this.#requests.inc({ code, method: verb === 'WATCH' ? 'GET' : verb, host });
    this.#duration.observe({ verb, host }, seconds);
  };

  readonly countEvent = (kind: string, type: string): void => {
    this.#events.inc({ kind, type });
    this.#last.set({ kind }, Date.now() / 1000);
  };

  countTrouble(path: string): void {
    this.#troubles.inc({ path });
  }

  lead(leading: boolean): void {
    this.#leading.set(leading ? 1 : 0);
  }
}
