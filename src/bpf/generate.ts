// Writes what is made from other files, by `npm run gen`: src/datapath/types.gen.ts from the compiled object, and two
// reference pages from the C headers. Needs no privilege.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateModule } from '../btf/generate.js';
import { parseBtf } from '../btf/parse.js';
import { compileDatapath } from './compile.js';
import { printDropReasons, printMaps, readDropReasons, readMaps } from './document.js';
import { isPerCpu } from './map.js';
import { loadNative } from './native.js';
import { SEMANTICS } from './semantics.js';

/** The project's folder, from src/ as from build/src/. */
const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

function write(name: string, content: string): void {
  writeFileSync(join(ROOT, name), content);
  console.log(`${name} written`);
}

function header(name: string): string {
  return readFileSync(join(ROOT, 'bpf/lib', name), 'utf8');
}

const { objectPath } = await compileDatapath({
  sourceDir: join(ROOT, 'bpf'),
  outputDir: join(ROOT, 'build/bpf'),
  mode: 'auto',
});
const object = loadNative().openObject(objectPath);
const maps = object.maps().map((map) => ({ ...map, perCpu: isPerCpu(map) }));
write('src/datapath/types.gen.ts', generateModule({ btf: parseBtf(object.btf), semantics: SEMANTICS, maps }));
object.close();
write('docs/drop-reasons.md', printDropReasons(readDropReasons(header('types.h'))));
write('docs/maps.md', printMaps(readMaps(header('maps.h'))));
