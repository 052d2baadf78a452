// Writes what became of our own objects into their status, and who has blocks of pools; one agent does it for all.
import type { ApiClient } from '../../kubernetes/api-client.js';
import type { Snapshot } from '../../model/snapshot.js';
import { objectPath } from '../../source/kubernetes/object-path.js';
import type { OwnObject } from '../../source/kubernetes/observed.js';
import { describeConditions } from './conditions.js';
import { describePool } from './pool-status.js';

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
  async write(snapshot: Snapshot): Promise<void> {
    const byObject = Map.groupBy(snapshot.problems, ({ object }) => object);
    const failures: Error[] = [];
    for (const [name, own] of this.#options.own()) {
      const conditions = describeConditions({ own, problems: byObject.get(name) ?? [], now: new Date() });
      const pool = describePool(name, snapshot);
      if (conditions === undefined && pool === undefined) continue;
      await this.#patch(name, own, { ...pool, ...(conditions && { conditions }) }).catch((error: Error) =>
        failures.push(error),
      );
    }
    if (failures[0] !== undefined) throw failures[0];
  }

  /** Of the object as we saw it: whoever was faster is not overwritten, and no block is given twice. */
  async #patch(name: string, { version, generation }: OwnObject, fields: object): Promise<void> {
    await this.#options.client.json({
      method: 'PATCH',
      path: `${objectPath(name)}/status`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { resourceVersion: version }, status: { observedGeneration: generation, ...fields } },
    });
  }
}
