// Reference pages out of the C headers: what each drop reason and each map says about itself there.

export interface DropReason {
  readonly name: string;
  readonly number: number;
  readonly meaning: string;
}

export interface MapDefinition {
  readonly name: string;
  readonly type: string;
  readonly entries: string;
  readonly key: string;
  readonly value: string;
  /** The comment above it; empty when there is none. */
  readonly reason: string;
}

/** The values of `enum drop_reason` with their comments; those that are no drop are left out. */
export function readDropReasons(types: string): DropReason[] {
  const body = /enum drop_reason \{([\s\S]*?)\n\};/.exec(types)?.[1] ?? '';
  return [...body.matchAll(/^\s*(DROP_\w+) = (\d+), \/\* (.*) \*\/$/gm)]
    .map(([, name = '', number = '', meaning = '']) => ({ name, number: Number(number), meaning }))
    .filter(({ number }) => number > 0);
}

/** Every map definition in the order of the file. */
export function readMaps(maps: string): MapDefinition[] {
  const pattern = /(?:\/\*((?:(?!\*\/)[\s\S])*)\*\/\n)?struct \{\n((?:\t__.*\n)+)\} (\w+) SEC\("\.maps"\);/g;
  return [...maps.matchAll(pattern)].map(([, comment = '', fields = '', name = '']) => {
    const field = (what: string): string => new RegExp(`__\\w+\\(${what}, (.*)\\);`).exec(fields)?.[1] ?? '-';
    return {
      name,
      type: field('type').replace('BPF_MAP_TYPE_', ''),
      entries: field('max_entries'),
      key: field('key'),
      value: field('value'),
      reason: comment.replace(/\s*\n\s*\*\s*/g, ' ').trim(),
    };
  });
}

export function printDropReasons(reasons: readonly DropReason[]): string {
  const rows = reasons.map(({ name, number, meaning }) => `| ${number} | \`${name}\` | ${meaning} |`);
  return [
    '# Drop reasons',
    '',
    'Every packet that is not forwarded is counted by reason and direction (`isthmus drop list`), and a sample of each',
    'kind goes to the event ring with its first 96 bytes. Made by `npm run gen` from `enum drop_reason` in',
    '`bpf/lib/types.h`.',
    '',
    '| number | name | what happened |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

export function printMaps(maps: readonly MapDefinition[]): string {
  const rows = maps.map(
    ({ name, type, entries, key, value }) => `| \`${name}\` | ${type} | ${entries} | ${key} | ${value} |`,
  );
  const reasons = maps.filter(({ reason }) => reason !== '').map(({ name, reason }) => `* \`${name}\`: ${reason}`);
  return [
    '# Maps',
    '',
    'What the datapath keeps in the kernel. The layouts are in `bpf/lib/types.h`; `isthmus map dump NAME` shows entries by',
    "field name, read with the map's own BTF. Made by `npm run gen` from `bpf/lib/maps.h`.",
    '',
    '| map | type | entries | key | value |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    ...reasons,
    '',
  ].join('\n');
}
