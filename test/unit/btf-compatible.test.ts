import { describe, expect, it } from 'vitest';
import { layoutDifferences, type TypeIn } from '../../src/btf/compatible.js';
import { parseBtf } from '../../src/btf/parse.js';
import { BtfBuilder } from '../support/btf-builder.js';

/** A struct flow of named fields: [name, bytes, offset]. */
function flow(size: number, fields: readonly (readonly [string, number, number])[]): TypeIn {
  const builder = new BtfBuilder();
  const members = fields.map(([name, bytes, at]) => [name, builder.int(`u${bytes * 8}`, bytes), at] as const);
  const typeId = builder.struct('flow', size, members);
  return { btf: parseBtf(builder.build()), typeId };
}

const BEFORE = flow(96, [
  ['flags', 4, 84],
  ['seen', 4, 88],
]);

describe('layoutDifferences', () => {
  it('finds none between equal layouts of different BTF', () => {
    const builder = new BtfBuilder();
    const word = builder.typedef('seconds', builder.constant(builder.int('unsigned int', 4)));
    const typeId = builder.struct('flow', 96, [
      ['flags', word, 84],
      ['seen', word, 88],
    ]);
    expect(layoutDifferences(BEFORE, { btf: parseBtf(builder.build()), typeId })).toEqual([]);
  });

  it.each<[string, TypeIn, string[]]>([
    [
      'a moved field',
      flow(96, [
        ['flags', 4, 84],
        ['seen', 4, 92],
      ]),
      ['flow.seen: offset 88 became 92'],
    ],
    [
      'a wider field',
      flow(96, [
        ['flags', 4, 84],
        ['seen', 8, 88],
      ]),
      ['flow.seen: unsigned 32-bit integer became unsigned 64-bit integer'],
    ],
    [
      'a new field',
      flow(96, [
        ['flags', 4, 84],
        ['seen', 4, 88],
        ['mark', 4, 92],
      ]),
      ['flow.mark: is new'],
    ],
    ['a lost field', flow(96, [['flags', 4, 84]]), ['flow.seen: is gone']],
    [
      'another size',
      flow(104, [
        ['flags', 4, 84],
        ['seen', 4, 88],
      ]),
      ['flow: size 96 became 104'],
    ],
    [
      'a pad',
      flow(96, [
        ['flags', 4, 84],
        ['seen', 4, 88],
        ['pad', 4, 92],
      ]),
      [],
    ],
  ])('tells %s', (_, after, differences) => {
    expect(layoutDifferences(BEFORE, after)).toEqual(differences);
  });

  it('tells another array length and another enum value', () => {
    const build = (length: number, red: number): TypeIn => {
      const builder = new BtfBuilder();
      const list = builder.array(builder.int('u16', 2), length);
      const colour = builder.enum('colour', { RED: red, BLUE: 2 });
      const typeId = builder.struct('paint', 16, [
        ['list', list, 0],
        ['colour', colour, 12],
      ]);
      return { btf: parseBtf(builder.build()), typeId };
    };
    expect(layoutDifferences(build(4, 1), build(5, 3))).toEqual([
      'paint.list: length 4 became 5',
      'paint.colour: RED was 1 and became 3',
    ]);
  });
});
