// BTF types to TypeScript source: what a codec makes of them.
import type { Semantics } from './field.js';
import { type Btf, type EnumType, isHidden, type Member, resolve, type StructType, sizeOf, typeOf } from './types.js';

const LINE = 120;

/** Prints types and collects the structs and enums that they refer to. */
export class TypePrinter {
  readonly #btf: Btf;
  readonly #semantics: Semantics;
  readonly #declarations = new Map<string, string>();

  constructor(btf: Btf, semantics: Semantics) {
    this.#btf = btf;
    this.#semantics = semantics;
  }

  /** The TypeScript type of a decoded value. */
  print(typeId: number): string {
    const type = typeOf(this.#btf, typeId);
    if (type.kind === 'typedef') {
      const semantic = this.#semantics[type.name];
      if (semantic !== undefined && semantic.size === sizeOf(this.#btf, typeId)) return semantic.typescript;
    }
    if ('type' in type && type.kind !== 'pointer' && type.kind !== 'function') return this.print(type.type);
    if (type.kind === 'int' && type.bool) return 'boolean';
    if (type.kind === 'array') return this.#array(type.element);
    if (type.kind === 'enum') return this.#enum(type);
    if (type.kind === 'struct' || type.kind === 'union') return this.#struct(type);
    return sizeOf(this.#btf, typeId) === 8 && type.kind !== 'float' ? 'bigint' : 'number';
  }

  /** Declares the union of an enum's names, and a table of their values. Returns the type's name. */
  declareEnum({ name, values, size }: EnumType): string {
    const typeName = pascalCase(name);
    const suffix = size === 8 ? 'n' : '';
    const rows = values.map((entry) => `  ${entry.name}: ${entry.value}${suffix},\n`).join('');
    const names = union(values.map((entry) => `'${entry.name}'`));
    const comment = `/** enum ${name} */\n`;
    const text = `${comment}export type ${typeName} =${names};\nexport const ${constantCase(name)} = {\n${rows}} as const;\n`;
    this.#declarations.set(typeName, text);
    return typeName;
  }

  /** All declarations so far, in the order of their names. */
  get declarations(): string[] {
    return [...this.#declarations].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  }

  /** A value without a name is a number. */
  #enum(type: EnumType): string {
    const plain = type.size === 8 ? 'bigint' : 'number';
    return type.name === '' ? plain : `${this.declareEnum(type)} | ${plain}`;
  }

  #struct(type: StructType): string {
    if (type.name === '') return `{ ${this.#members(type).join('; ')} }`;
    const typeName = pascalCase(type.name);
    if (!this.#declarations.has(typeName)) {
      this.#declarations.set(typeName, ''); // a struct that refers to itself is being declared
      const lines = this.#members(type).map((line) => `  ${line};\n`);
      this.#declarations.set(
        typeName,
        `/** ${type.kind} ${type.name} */\nexport interface ${typeName} {\n${lines.join('')}}\n`,
      );
    }
    return typeName;
  }

  #members(type: StructType, optional = type.kind === 'union'): string[] {
    return type.members.flatMap((member) => this.#member(member, optional));
  }

  #member(member: Member, optional: boolean): string[] {
    if (isHidden(this.#btf, member)) return [];
    const { name, type } = member;
    if (name !== '') return [`readonly ${name}${optional ? '?' : ''}: ${this.print(type)}`];
    const inner = resolve(this.#btf, type);
    if (inner.kind !== 'struct' && inner.kind !== 'union') return [];
    return this.#members(inner, optional || inner.kind === 'union');
  }

  #array(element: number): string {
    const plain = resolve(this.#btf, element);
    const printed = this.print(element);
    if (plain.kind === 'int' && plain.size === 1 && printed === 'number') {
      return plain.name === 'char' ? 'string' : 'Uint8Array';
    }
    return printed.includes('|') ? `readonly (${printed})[]` : `readonly ${printed}[]`;
  }
}

/** `flow_key` to `FlowKey`. */
export function pascalCase(name: string): string {
  return name.replace(/(^|_+)([a-z0-9])/gi, (_, __, letter: string) => letter.toUpperCase());
}

/** `drop_reason` to `DROP_REASON`. */
function constantCase(name: string): string {
  return name.toUpperCase();
}

/** With the space or the line breaks in front. */
function union(names: readonly string[]): string {
  const line = ` ${names.join(' | ')}`;
  return line.length <= LINE - 40 ? line : names.map((name) => `\n  | ${name}`).join('');
}
