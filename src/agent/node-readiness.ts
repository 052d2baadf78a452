// Tells the cluster that pods can come to this node: its network is available, and the startup taint is gone.
import type { Logger } from 'pino';
import { ApiClient } from '../kubernetes/api-client.js';
import { ApiError } from '../kubernetes/api-error.js';
import { Backoff } from '../kubernetes/backoff.js';
import { connect } from '../kubernetes/connect.js';
import { STARTUP_TAINT } from '../model/node.js';
import { KUBERNETES_SOURCE, type Settings } from './settings.js';

export interface NodeReadinessOptions {
  readonly client: Pick<ApiClient, 'json'>;
  readonly node: string;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Milliseconds between attempts. */
  readonly backoff?: { readonly initial: number; readonly maximum: number };
}

interface NodeObject {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
}

const BACKOFF = { initial: 500, maximum: 30_000 };

export class NodeReadiness {
  readonly #options: NodeReadinessOptions;
  readonly #backoff: Backoff;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #again = false;
  #closed = false;

  constructor(options: NodeReadinessOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff ?? BACKOFF);
  }

  /** Says it until the API server has heard it. */
  announce(): void {
    this.#again = this.#busy;
    if (this.#busy || this.#closed) return;
    clearTimeout(this.#timer);
    this.#busy = true;
    void this.#tell().finally(() => {
      this.#busy = false;
      if (this.#again) this.announce();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #tell(): Promise<void> {
    const { node, log } = this.#options;
    try {
      await this.#reportNetwork();
      const removed = await this.#removeTaint();
      this.#backoff.reset();
      log.info({ node, removed }, 'the node is ready for pods');
    } catch (error) {
      const wait = this.#backoff.next(error instanceof ApiError ? error.retryAfter : 0);
      log.warn({ reason: (error as Error).message, retryMs: Math.round(wait) }, 'the node could not be told ready');
      if (!this.#closed) this.#timer = setTimeout(() => this.announce(), wait);
    }
  }

  /** Conditions are merged by their type: others stay. */
  async #reportNetwork(): Promise<void> {
    const now = new Date().toISOString();
    const condition = {
      type: 'NetworkUnavailable',
      status: 'False',
      reason: 'IsthmusIsReady',
      message: 'programs are attached and maps are filled',
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    };
    await this.#patch('/status', { status: { conditions: [condition] } }, 'application/strategic-merge-patch+json');
  }

  /** True when it was there. Refused when the Node has changed meanwhile: another's taint must not get lost. */
  async #removeTaint(): Promise<boolean> {
    const { client } = this.#options;
    const { metadata, spec } = (await client.json({ path: this.#path })) as NodeObject;
    const taints = spec?.taints ?? [];
    const rest = taints.filter(({ key }) => key !== STARTUP_TAINT);
    if (rest.length === taints.length) return false;
    const { resourceVersion } = metadata;
    await this.#patch('', { metadata: { resourceVersion }, spec: { taints: rest } }, 'application/merge-patch+json');
    return true;
  }

  async #patch(subresource: string, body: object, contentType: string): Promise<void> {
    const { client } = this.#options;
    await client.json({ method: 'PATCH', path: `${this.#path}${subresource}`, body, contentType });
  }

  get #path(): string {
    return `/api/v1/nodes/${this.#options.node}`;
  }
}

/** undefined when nobody is to be told: the node is not known from the API. Rejects with ConnectionError. */
export async function openReadiness(settings: Settings, log: Logger): Promise<NodeReadiness | undefined> {
  if (settings.source !== KUBERNETES_SOURCE) return undefined;
  const client = new ApiClient({ connection: await connect(settings.kubeconfig) });
  return new NodeReadiness({ client, node: settings.node, log });
}
