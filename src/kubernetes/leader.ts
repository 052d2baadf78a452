// One of many, by a Lease (coordination.k8s.io/v1): who holds it may do what one writer is enough for.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from './api-client.js';
import { ApiError } from './api-error.js';

export interface LeaderOptions {
  readonly client: Pick<ApiClient, 'json'>;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Of this candidate; no other one's. */
  readonly identity: string;
  readonly onChange: (leading: boolean) => void;
  readonly onTrouble: (error: Error) => void;
  readonly timing?: Partial<LeaderTiming>;
}

/** Milliseconds. */
export interface LeaderTiming {
  /** A holder that has not renewed for so long has lost the Lease. */
  readonly lease: number;
  /** A leader that could not renew for so long stops leading, before another one begins. */
  readonly renewal: number;
  /** Between two renewals. Candidates look once in a lease: there is one on every node. */
  readonly retry: number;
}

const TIMING: LeaderTiming = { lease: 15_000, renewal: 10_000, retry: 2000 };

interface Lease {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseTransitions?: number | null;
    readonly acquireTime?: string | null;
  };
}

export class Leader {
  readonly #options: LeaderOptions;
  readonly #timing: LeaderTiming;
  readonly #stop = new AbortController();
  /** The newest state of the Lease that was seen, and when: clocks of two machines are never compared. */
  #seen = { version: '', at: 0 };
  #renewed = Number.NEGATIVE_INFINITY;
  #leading = false;
  #trouble = '';
  #running: Promise<void> = Promise.resolve();

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
  }

  get leading(): boolean {
    return this.#leading && performance.now() - this.#renewed < this.#timing.renewal;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Gives the Lease back, so that nobody has to wait for its end. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.#leading) await this.#release().catch(() => undefined);
    this.#lead(false);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#step();
      const pause = this.#leading ? this.#timing.retry : this.#timing.lease * (0.5 + Math.random());
      await sleep(pause, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #step(): Promise<void> {
    const asked = performance.now();
    try {
      const held = await this.#acquire();
      if (held) this.#renewed = asked;
      this.#trouble = '';
      this.#lead(held);
    } catch (error) {
      this.#failed(error as Error);
      if (!this.leading) this.#lead(false);
    }
  }

  #failed(error: Error): void {
    if (error.message === this.#trouble || this.#stop.signal.aborted) return;
    this.#trouble = error.message;
    this.#options.onTrouble(error);
  }

  #lead(leading: boolean): void {
    if (leading === this.#leading) return;
    this.#leading = leading;
    this.#options.onChange(leading);
  }

  /** Whether the Lease is ours now. The resource version sees to it that only one of several gets it. */
  async #acquire(): Promise<boolean> {
    const { identity } = this.#options;
    const lease = await this.#read();
    const holder = lease?.spec?.holderIdentity ?? '';
    if (lease !== undefined && holder !== '' && holder !== identity && !this.#expired(lease)) return false;
    try {
      await this.#write(lease, identity);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return false;
      throw error;
    }
  }

  #expired({ metadata: { resourceVersion = '' } }: Lease): boolean {
    const now = performance.now();
    if (resourceVersion !== this.#seen.version) this.#seen = { version: resourceVersion, at: now };
    return now - this.#seen.at >= this.#timing.lease;
  }

  async #read(): Promise<Lease | undefined> {
    try {
      return (await this.#options.client.json({ path: this.#path(), signal: this.#deadline() })) as Lease;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #release(): Promise<void> {
    const lease = await this.#read();
    if (lease?.spec?.holderIdentity === this.#options.identity) await this.#write(lease, '');
  }

  async #write(lease: Lease | undefined, holder: string): Promise<void> {
    const { client, namespace, name } = this.#options;
    const now = new Date().toISOString().replace('Z', '000Z'); // microseconds
    const taken = lease?.spec?.holderIdentity !== holder;
    const spec = {
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.round(this.#timing.lease / 1000)),
      acquireTime: taken ? now : lease?.spec?.acquireTime,
      renewTime: now,
      leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (taken && lease !== undefined ? 1 : 0),
    };
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec };
    if (lease === undefined) {
      await client.json({ method: 'POST', path: this.#collection(), body, signal: this.#deadline() });
    } else {
      const metadata = { name, namespace, resourceVersion: lease.metadata.resourceVersion };
      await client.json({ method: 'PUT', path: this.#path(), body: { ...body, metadata }, signal: this.#deadline() });
    }
  }

  /** An answer that comes later does not help: somebody else may lead then. */
  #deadline(): AbortSignal {
    return AbortSignal.timeout(this.#timing.renewal);
  }

  #collection(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  #path(): string {
    return `${this.#collection()}/${this.#options.name}`;
  }
}
