// Where the API server keeps one object.
import { RESOURCES } from './resources.js';

/** Of a name such as `Service shop/web` or `Node n1`. Throws RangeError for a kind that is not read. */
export function objectPath(object: string): string {
  const { kind, namespace, name } = splitName(object);
  const collection = RESOURCES.find((resource) => resource.kind === kind)?.path;
  if (collection === undefined) throw new RangeError(`${object} is of no kind that is read`);
  const escaped = encodeURIComponent(name);
  if (namespace === undefined) return `${collection}/${escaped}`;
  return `${collection.replace(/\/[^/]+$/, '')}/namespaces/${namespace}${collection.replace(/^.*\//, '/')}/${escaped}`;
}

/** `Service shop/web` in its parts; no namespace for what has none. */
export function splitName(object: string): { kind: string; namespace: string | undefined; name: string } {
  const [kind = '', key = ''] = object.split(' ', 2);
  const slash = key.indexOf('/');
  if (slash < 0) return { kind, namespace: undefined, name: key };
  return { kind, namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
