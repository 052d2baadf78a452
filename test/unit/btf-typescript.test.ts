import { beforeAll, describe, expect, it } from 'vitest';
import { isPerCpu } from '../../src/bpf/map.js';
import { loadNative } from '../../src/bpf/native.js';
import { SEMANTICS } from '../../src/bpf/semantics.js';
import { generateModule } from '../../src/btf/generate.js';
import { parseBtf } from '../../src/btf/parse.js';
import { compileSample } from '../support/sample.js';

let text: string;
beforeAll(async () => {
  const object = loadNative().openObject(await compileSample());
  const maps = object.maps().map((map) => ({ ...map, perCpu: isPerCpu(map) }));
  text = generateModule({ btf: parseBtf(object.btf), semantics: SEMANTICS, maps });
  object.close();
});

describe('generateModule', () => {
  it('says that it is generated, and how', () => {
    expect(text).toMatch(/^\/\/ Generated .* by `npm run gen`/);
  });

  it('prints a struct with every kind of field', () => {
    expect(text).toContain(`export interface Every {
  readonly tiny: number;
  readonly flag: boolean;
  readonly port: number;
  readonly word: number;
  readonly negative: number;
  readonly large: bigint;
  readonly deep: bigint;
  readonly address: string;
  readonly mac: string;
  readonly name: string;
  readonly colour: Colour | number;
  readonly seen: number;
  readonly bytes: Uint8Array;
  readonly numbers: readonly number[];
  readonly inner: readonly Prefix[];
  readonly either?: number;
  readonly halves?: readonly number[];
  readonly wide: Wide | bigint;
}`);
  });

  it('prints an enum as its names and as a table of values', () => {
    expect(text).toContain("export type Colour = 'COLOUR_RED' | 'COLOUR_BLUE';");
    expect(text).toContain('export const COLOUR = {\n  COLOUR_RED: 1,\n  COLOUR_BLUE: 7,\n} as const;');
    expect(text).toContain('WIDE_LARGE: 4294967297n');
  });

  it('prints every map, a per-CPU map with an array of values', () => {
    expect(text).toContain('  readonly hash: { readonly key: FlowKey; readonly value: Flow };');
    expect(text).toContain('  readonly array: { readonly key: number; readonly value: bigint };');
    expect(text).toContain(
      '  readonly percpu_hash: { readonly key: DropKey; readonly value: readonly DropCounter[] };',
    );
    expect(text).not.toContain('rodata');
  });

  it('prints the configuration and the events', () => {
    expect(text).toContain('export type Config = { readonly mark: number; readonly gateway: string };');
    expect(text).toContain('  readonly sample_event: SampleEvent;');
  });
});
