// The Kubernetes API as the agent's source, with what the agents say back to it.
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Metric } from 'prom-client';
import { ApiClient } from '../../kubernetes/api-client.js';
import type { Connection } from '../../kubernetes/connection.js';
import { Leader } from '../../kubernetes/leader.js';
import type { Trouble } from '../../kubernetes/reflector.js';
import type { Snapshot } from '../../model/snapshot.js';
import { KubernetesSource } from '../../source/kubernetes/kubernetes.js';
import type { Source } from '../../source/source.js';
import { ClientMetrics } from './client-metrics.js';
import { EventRecorder } from './event-recorder.js';
import { Spokesman } from './spokesman.js';
import { StatusWriter } from './status-writer.js';

export interface ClusterSourceOptions {
  readonly connection: Connection;
  /** Of this node. */
  readonly node: string;
  readonly log: Logger;
}

const LEASE = 'isthmus-status';
/** Where the Lease is when the agent runs in no namespace. */
const NAMESPACE = 'kube-system';

export class ClusterSource implements Source {
  readonly kind = 'kubernetes';
  readonly where: string;
  readonly metrics: readonly Metric[];
  readonly #log: Logger;
  readonly #client: ApiClient;
  readonly #metrics: ClientMetrics;
  readonly #source: KubernetesSource;
  readonly #leader: Leader;
  readonly #spokesman: Spokesman;

  constructor({ connection, node, log }: ClusterSourceOptions) {
    this.where = connection.server.href;
    this.#log = log;
    this.#metrics = new ClientMetrics(connection.server.host);
    this.metrics = this.#metrics.all;
    this.#client = new ApiClient({ connection, onRequest: this.#metrics.countRequest });
    this.#source = this.#openSource();
    this.#leader = this.#openLeader(node);
    this.#spokesman = this.#openSpokesman(node);
  }

  async start(onSnapshot: (snapshot: Snapshot) => void): Promise<void> {
    await this.#source.start((snapshot) => {
      onSnapshot(snapshot);
      this.#spokesman.update(snapshot);
    });
    // Only who knows everything may speak for all.
    this.#leader.start();
  }

  async close(): Promise<void> {
    await this.#source.close();
    await this.#spokesman.close();
    await this.#leader.close();
  }

  #openSource(): KubernetesSource {
    const log = this.#log;
    return new KubernetesSource({
      client: this.#client,
      onTrouble: (trouble) => this.#noteTrouble(trouble),
      onAbsent: (kind) => log.warn({ kind }, 'the API server does not know this kind; it is looked for again'),
      onEvent: this.#metrics.countEvent,
    });
  }

  #noteTrouble({ path, error }: Trouble): void {
    this.#metrics.countTrouble(path);
    const { message: reason } = error;
    this.#log.warn({ path, reason }, 'the API server cannot be read; what is in force stays; trying again');
  }

  #openLeader(node: string): Leader {
    return new Leader({
      client: this.#client,
      namespace: this.#client.namespace ?? NAMESPACE,
      name: LEASE,
      identity: `${node}_${randomUUID()}`,
      onChange: (leading) => this.#leads(leading),
      onTrouble: ({ message: reason }) => this.#log.warn({ reason }, 'the Lease cannot be had; tried again'),
    });
  }

  #leads(leading: boolean): void {
    this.#metrics.lead(leading);
    this.#log.info({ leading }, leading ? 'writes status and Events for all nodes' : 'another one writes the status');
    if (leading) this.#spokesman.hurry();
  }

  #openSpokesman(instance: string): Spokesman {
    const client = this.#client;
    const status = new StatusWriter({ client, own: () => this.#source.own() });
    const events = new EventRecorder({ client, instance, clock: () => performance.now() });
    return new Spokesman({
      leader: this.#leader,
      log: this.#log,
      tasks: [(snapshot) => status.write(snapshot), ({ problems }) => events.record(problems)],
    });
  }
}
