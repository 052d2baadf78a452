// An object's BTF to the TypeScript module that describes its maps, its configuration and its events.
import type { Semantics } from './field.js';
import { type Btf, findType, resolve, type StructType, typeOf } from './types.js';
import { TypePrinter } from './typescript.js';

/** A map as the object file describes it. */
export interface MapDescription {
  readonly name: string;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
  readonly perCpu: boolean;
}

export interface ModuleDescription {
  readonly btf: Btf;
  readonly semantics: Semantics;
  readonly maps: readonly MapDescription[];
}

const HEADER = `// Generated from the BTF of bpf/datapath.bpf.c by \`npm run gen\`: change bpf/lib/types.h instead.
// Names are those of C. Fields are what the codecs of src/btf/codec.ts make of them.
`;

/** The source of a module with an interface per struct, a union of names per enum, \`Maps\`, \`Config\` and \`Events\`. */
export function generateModule({ btf, semantics, maps }: ModuleDescription): string {
  const printer = new TypePrinter(btf, semantics);
  const sections = [mapsInterface(maps, printer), configType(btf, printer), eventsInterface(btf, printer)];
  for (const type of btf) if (type.kind === 'enum' && isOurs(type.name)) printer.declareEnum(type);
  return [HEADER, ...printer.declarations, ...sections].filter((text) => text !== '').join('\n');
}

/** Enums of the kernel, which the object mentions for CO-RE or for helpers, are not ours to export. */
function isOurs(name: string): boolean {
  return name !== '' && !/^(bpf|xdp|sk|tcx|netdev)_/.test(name);
}

function mapsInterface(maps: readonly MapDescription[], printer: TypePrinter): string {
  const rows = maps
    .filter(({ keyTypeId, valueTypeId }) => keyTypeId !== 0 && valueTypeId !== 0)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, keyTypeId, valueTypeId, perCpu }) => {
      const value = printer.print(valueTypeId);
      const shown = perCpu ? `readonly ${value}[]` : value;
      return `  readonly ${name}: { readonly key: ${printer.print(keyTypeId)}; readonly value: ${shown} };\n`;
    });
  return `/** Key and value of every map; a per-CPU map has one value a possible CPU. */\nexport interface Maps {\n${rows.join('')}}\n`;
}

/** The variable `config` of .rodata; nothing when its struct has that name already. */
function configType(btf: Btf, printer: TypePrinter): string {
  for (const { type } of findType(btf, 'section', '.rodata')?.variables ?? []) {
    const variable = typeOf(btf, type);
    if (variable.kind !== 'variable' || variable.name !== 'config') continue;
    const printed = printer.print(variable.type);
    return printed === 'Config' ? '' : `/** What is set before load. */\nexport type Config = ${printed};\n`;
  }
  return '';
}

/** Events are the structs that start with a `struct event_header header`. */
function eventsInterface(btf: Btf, printer: TypePrinter): string {
  const rows = btf
    .filter((type): type is StructType => type.kind === 'struct' && isEvent(btf, type))
    .map((type) => `  readonly ${type.name}: ${printer.print(type.id)};\n`)
    .sort();
  return rows.length === 0
    ? ''
    : `/** Every record of the ring buffer, by its struct. */\nexport interface Events {\n${rows.join('')}}\n`;
}

function isEvent(btf: Btf, { members }: StructType): boolean {
  const first = members[0];
  return first !== undefined && first.name === 'header' && resolve(btf, first.type).name === 'event_header';
}
