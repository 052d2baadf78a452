// One file of manifests to converted and refused objects, each with its line. Pure.
import { type Document, isNode, LineCounter, parseAllDocuments } from 'yaml';
import { type Converted, convert, identify } from './convert.js';
import { ConvertError } from './schema.js';

/** An object that was understood; `name` is e.g. `Service shop/web`. */
export interface Accepted {
  readonly name: string;
  readonly file: string;
  /** `file:line`; found when it is asked for. */
  readonly where: string;
  readonly converted: Converted;
}

/** One that was not; `name` is undefined when not even that could be read. */
export interface Refused {
  readonly name: string | undefined;
  readonly where: string;
  readonly reason: string;
}

export interface Manifest {
  readonly file: string;
  readonly accepted: readonly Accepted[];
  readonly refused: readonly Refused[];
  /** false when there may be objects in it that could not be told: then nothing counts as removed from it. */
  readonly complete: boolean;
}

interface Item {
  readonly value: unknown;
  /** From the root of its document. */
  readonly path: readonly PropertyKey[];
}

/** A document with its lines. */
interface Layout {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
}

interface Place {
  readonly file: string;
  readonly layout: () => Layout;
}

/** Reads YAML of several documents, or JSON. Never throws for what the text says. */
export function readManifest(file: string, text: string): Manifest {
  const results = readJson(file, text) ?? readYaml(file, text);
  const refused = results.filter((result) => 'reason' in result);
  return {
    file,
    accepted: results.filter((result) => 'converted' in result),
    refused,
    complete: refused.every(({ name }) => name !== undefined),
  };
}

/**
 * Ten thousand Services take a tenth of a second where YAML takes ten seconds. JSON is YAML too: it is read as that
 * when there is a line to be told. undefined for what is not valid JSON.
 */
function readJson(file: string, text: string): (Accepted | Refused)[] | undefined {
  const value = parseJson(text);
  if (value === undefined) return undefined;
  let layout: Layout | undefined;
  const place: Place = {
    file,
    layout: () => {
      layout ??= parseYaml(text)[0] as Layout;
      return layout;
    },
  };
  return readValue(place, value);
}

function parseJson(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readYaml(file: string, text: string): (Accepted | Refused)[] {
  return parseYaml(text).flatMap((layout) => readDocument({ file, layout: () => layout }));
}

function parseYaml(text: string): Layout[] {
  const lines = new LineCounter();
  const documents = [...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })] as Document.Parsed[];
  return documents.map((document) => ({ document, lines }));
}

function readDocument(place: Place): (Accepted | Refused)[] {
  const { file, layout } = place;
  const { document, lines } = layout();
  const [error] = document.errors;
  if (error !== undefined) {
    const where = `${file}:${lines.linePos(error.pos[0]).line}`;
    return [{ name: undefined, where, reason: `not valid YAML: ${error.message}` }];
  }
  try {
    return readValue(place, document.toJS());
  } catch (cause) {
    // The only throw of toJS: an alias that cannot be resolved, or too many of them.
    return [{ name: undefined, where: whereIs(place, []), reason: `not valid YAML: ${(cause as Error).message}` }];
  }
}

function readValue(place: Place, value: unknown): (Accepted | Refused)[] {
  return value === null ? [] : expand({ value, path: [] }).flatMap((item) => readItem(place, item) ?? []);
}

/** A List becomes its items; those of a typed list (ServiceList) do not repeat their kind. */
function expand(item: Item): Item[] {
  const list = item.value as { kind?: unknown; apiVersion?: unknown; items?: unknown } | undefined;
  const { kind, apiVersion, items } = list ?? {};
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return [item];
  const inherited = kind === 'List' ? {} : { kind: kind.slice(0, -'List'.length), apiVersion };
  return items.flatMap((value: object, index) =>
    expand({ value: { ...inherited, ...value }, path: [...item.path, 'items', index] }),
  );
}

function readItem(place: Place, item: Item): Accepted | Refused | undefined {
  const identity = identify(item.value);
  const name = identity && `${identity.kind} ${identity.key}`;
  try {
    const converted = convert(item.value);
    return converted && accept(place, item, converted);
  } catch (error) {
    if (!(error instanceof ConvertError)) throw error;
    return { name, where: whereIs(place, [...item.path, ...error.path]), reason: error.message };
  }
}

function accept(place: Place, { path }: Item, converted: Converted): Accepted {
  return {
    name: `${converted.kind} ${converted.key}`,
    file: place.file,
    get where() {
      return whereIs(place, path);
    },
    converted,
  };
}

/** `file:line` of a field, or of the nearest thing around it when the field itself is missing. */
function whereIs({ file, layout }: Place, path: readonly PropertyKey[]): string {
  const { document, lines } = layout();
  for (let length = path.length; length >= 0; length--) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return `${file}:${lines.linePos(node.range[0]).line}`;
  }
  return `${file}:1`;
}
