// Tells about refused objects by Events, where `kubectl describe` shows them; one agent of the cluster does it for all.
import { createHash } from 'node:crypto';
import type { ApiClient } from '../../kubernetes/api-client.js';
import { ApiError } from '../../kubernetes/api-error.js';
import type { Problem } from '../../model/snapshot.js';
import { API_VERSIONS, isKind } from '../../source/kinds.js';
import { objectPath, splitName } from '../../source/kubernetes/object-path.js';

export interface EventRecorderOptions {
  readonly client: Pick<ApiClient, 'json'>;
  /** Who says it: the name of our node. */
  readonly instance: string;
  /** Milliseconds that only grow. */
  readonly clock: () => number;
}

/** Milliseconds. The API server forgets an Event after an hour. */
const REPEAT = 30 * 60_000;
/** Of one call: a thousand objects that are broken in the same way are told about in the metrics too. */
const EVENTS_MAX = 50;
const MESSAGE_MAX = 1024;

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** When what was told; forgotten when it is no problem any more. */
  #told: ReadonlyMap<string, number> = new Map();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Rejects with what the first Event that failed says; it is told next time. */
  async record(problems: readonly Problem[]): Promise<void> {
    const now = this.#options.clock();
    const told = new Map<string, number>();
    let [count, failure]: [number, Error | undefined] = [0, undefined];
    for (const problem of problems.filter(({ object }) => isKind(splitName(object).kind))) {
      const key = `${problem.object} ${problem.reason}`;
      const before = this.#told.get(key);
      if (before !== undefined && now - before < REPEAT) told.set(key, before);
      else if (count++ < EVENTS_MAX) {
        const error = await this.#tell(problem).catch((cause: Error) => cause);
        if (error === undefined) told.set(key, now);
        failure ??= error;
      }
    }
    this.#told = told;
    if (failure !== undefined) throw failure;
  }

  /** An Event's name follows from what it says: a former leader may have told the same. */
  async #tell({ object, reason, code, inForce }: Problem): Promise<undefined> {
    const { client, instance } = this.#options;
    const { kind, namespace, name } = splitName(object);
    const uid = await this.#uid(object);
    if (uid === undefined) return;
    const hash = createHash('sha256').update(`${uid} ${reason}`).digest('hex').slice(0, 16);
    const now = new Date().toISOString();
    const seconds = now.replace(/\.\d+Z$/, 'Z');
    const body = {
      metadata: { name: `${name}.${hash}`, namespace: namespace ?? 'default' },
      involvedObject: { apiVersion: isKind(kind) ? API_VERSIONS[kind] : '', kind, namespace, name, uid },
      type: 'Warning',
      reason: code ?? 'Refused',
      action: 'Refuse',
      message: `${reason}; in force is ${inForce}`.slice(0, MESSAGE_MAX),
      reportingComponent: 'isthmus.dev/agent',
      reportingInstance: instance,
      source: { component: 'isthmus', host: instance },
      eventTime: now.replace('Z', '000Z'),
      firstTimestamp: seconds,
      lastTimestamp: seconds,
      count: 1,
    };
    const path = `/api/v1/namespaces/${namespace ?? 'default'}/events`;
    await client.json({ method: 'POST', path, body }).catch((error: Error) => {
      if (!(error instanceof ApiError && error.status === 409)) throw error;
    });
  }

  /** undefined when the object is gone. */
  async #uid(object: string): Promise<string | undefined> {
    try {
      const { metadata } = (await this.#options.client.json({ path: objectPath(object) })) as {
        metadata: { uid: string };
      };
      return metadata.uid;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }
}
