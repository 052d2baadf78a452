// Whether this node's services are up to date, as kube-proxy tells it to load balancers and to the kubelet.
import type { Changes } from './changes.js';

export interface ProxyHealthOptions {
  readonly changes: Pick<Changes, 'pending'>;
  /** Milliseconds of the epoch. */
  readonly clock: () => number;
  /** Milliseconds that a change may wait. */
  readonly timeout: number;
}

export class ProxyHealth {
  readonly #options: ProxyHealthOptions;
  #updated: number | undefined;
  #eligible = true;

  constructor(options: ProxyHealthOptions) {
    this.#options = options;
  }

  /** Everything is in force. */
  update(): void {
    this.#updated = this.#options.clock();
  }

  /** Whether new connections should come to this node. True until its Node says that it is going away. */
  get eligible(): boolean {
    return this.#eligible;
  }

  set eligible(eligible: boolean) {
    this.#eligible = eligible;
  }

  /** False when a change has waited too long: what is in force may send clients astray. */
  get healthy(): boolean {
    const { changes, clock, timeout } = this.#options;
    const { since } = changes.pending;
    return since === undefined || clock() - since < timeout;
  }

  /** Of `/healthz`: for load balancers, which should also leave a node that is going away. */
  get healthz(): HealthAnswer {
    return this.#answer(this.healthy && this.#eligible, `, "nodeEligible": ${this.#eligible}`);
  }

  /** Of `/livez`: for whoever restarts the agent. */
  get livez(): HealthAnswer {
    return this.#answer(this.healthy, '');
  }

  /** Of `/readyz`: everything was in force once, and nothing has waited too long since. */
  get readyz(): HealthAnswer {
    return this.#answer(this.healthy && this.#updated !== undefined, '');
  }

  /** The last update is now as long as all is well: nothing had to be done since. */
  #answer(good: boolean, more: string): HealthAnswer {
    const now = this.#options.clock();
    const updated = good ? now : this.#updated;
    const body = `{"lastUpdated": "${goTime(updated)}","currentTime": "${goTime(now)}"${more}}`;
    return { status: good ? 200 : 503, body };
  }
}

export interface HealthAnswer {
  readonly status: 200 | 503;
  /** JSON, spaced as kube-proxy's. */
  readonly body: string;
}

/** As Go prints a time in UTC; one that never was is its zero. */
function goTime(time: number | undefined): string {
  if (time === undefined) return '0001-01-01 00:00:00 +0000 UTC';
  return new Date(time)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.?0*Z$/, ' +0000 UTC');
}
