// Writes what became of our own objects into their status; one agent of the cluster does it for all.
import type { ApiClient } from '../../kubernetes/api-client.js';
import type { Problem } from '../../model/snapshot.js';
import { objectPath } from '../../source/kubernetes/object-path.js';
import type { OwnObject } from '../../source/kubernetes/observed.js';
import { describeConditions } from './conditions.js';

export interface StatusWriterOptions {
  readonly client: Pick<ApiClient, 'json'>;
  /** By name, such as `EgressPool web`. */
  readonly own: () => Iterable<readonly [string, OwnObject]>;
}

export class StatusWriter {
  readonly #options: StatusWriterOptions;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** Rejects with what the first write that failed says; the others are made nevertheless. */
  async write(problems: readonly Problem[]): Promise<void> {
    const byObject = Map.groupBy(problems, ({ object }) => object);
    const failures: Error[] = [];
    for (const [name, own] of this.#options.own()) {
      const conditions = describeConditions({ own, problems: byObject.get(name) ?? [], now: new Date() });
      if (conditions === undefined) continue;
      await this.#patch(name, own, conditions).catch((error: Error) => failures.push(error));
    }
    if (failures[0] !== undefined) throw failures[0];
  }

  /** Of the object as we saw it: whoever was faster is not overwritten. */
  async #patch(name: string, { version, generation }: OwnObject, conditions: readonly unknown[]): Promise<void> {
    await this.#options.client.json({
      method: 'PATCH',
      path: `${objectPath(name)}/status`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { resourceVersion: version }, status: { observedGeneration: generation, conditions } },
    });
  }
}
