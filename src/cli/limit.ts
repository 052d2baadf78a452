// Ends a stream of items early, and says so.
import { note, type Output } from './output.js';

/** At most `limit` items, all of them when absent; when there are more, a note on stderr. */
export function* limited<T>(
  items: Iterable<T>,
  limit: number | undefined,
  output: Pick<Output, 'stderr'>,
): Generator<T> {
  let count = 0;
  for (const item of items) {
    if (limit !== undefined && count++ === limit)
      return note(output, `there are more than ${limit}: --limit stopped here`);
    yield item;
  }
}
