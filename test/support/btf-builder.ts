// Writes BTF by hand: for types that no compiler at hand would make.

type Word = number;

/** Builds raw BTF; every method returns the id of the type that it adds. */
export class BtfBuilder {
  readonly #words: Word[] = [];
  #strings = '\0';
  #types = 0;

  int(name: string, size: number, encoding: { signed?: boolean; bool?: boolean } = {}): number {
    const flags = (encoding.signed === true ? 1 : 0) | (encoding.bool === true ? 4 : 0);
    return this.#add(name, { kind: 1, sizeOrType: size }, [(flags << 24) | (size * 8)]);
  }

  array(element: number, length: number): number {
    return this.#add('', { kind: 3, sizeOrType: 0 }, [element, element, length]);
  }

  /** Members as [name, type, byte offset]. */
  struct(name: string, size: number, members: readonly (readonly [string, number, number])[]): number {
    const words = members.flatMap(([member, type, offset]) => [this.#string(member), type, offset * 8]);
    return this.#add(name, { kind: 4, sizeOrType: size, count: members.length }, words);
  }

  enum(name: string, values: Readonly<Record<string, number>>): number {
    const entries = Object.entries(values);
    const words = entries.flatMap(([value, number]) => [this.#string(value), number >>> 0]);
    return this.#add(name, { kind: 6, sizeOrType: 4, count: entries.length }, words);
  }

  typedef(name: string, type: number): number {
    return this.#add(name, { kind: 8, sizeOrType: type }, []);
  }

  constant(type: number): number {
    return this.#add('', { kind: 10, sizeOrType: type }, []);
  }

  build(): Buffer {
    const types = Buffer.from(Uint32Array.from(this.#words).buffer);
    const strings = Buffer.from(this.#strings, 'latin1');
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    header.writeUInt8(1, 2);
    [24, 0, types.length, types.length, strings.length].forEach((word, index) => {
      header.writeUInt32LE(word, 4 + index * 4);
    });
    return Buffer.concat([header, types, strings]);
  }

  #add(name: string, head: { kind: number; sizeOrType: number; count?: number }, words: readonly Word[]): number {
    this.#words.push(this.#string(name), (head.kind << 24) | (head.count ?? 0), head.sizeOrType, ...words);
    this.#types += 1;
    return this.#types;
  }

  #string(text: string): number {
    if (text === '') return 0;
    const offset = this.#strings.length;
    this.#strings += `${text}\0`;
    return offset;
  }
}
