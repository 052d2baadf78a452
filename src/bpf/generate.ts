// Prints src/datapath/types.gen.ts from the compiled object: `node build/src/bpf/generate.js`. Needs no privilege.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateModule } from '../btf/generate.js';
import { parseBtf } from '../btf/parse.js';
import { compileDatapath } from './compile.js';
import { isPerCpu } from './map.js';
import { loadNative } from './native.js';
import { SEMANTICS } from './semantics.js';

/** The project's folder, from src/ as from build/src/. */
const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');
const TARGET = join(ROOT, 'src/datapath/types.gen.ts');

const { objectPath } = await compileDatapath({
  sourceDir: join(ROOT, 'bpf'),
  outputDir: join(ROOT, 'build/bpf'),
  mode: 'auto',
});
const object = loadNative().openObject(objectPath);
const maps = object.maps().map((map) => ({ ...map, perCpu: isPerCpu(map) }));
writeFileSync(TARGET, generateModule({ btf: parseBtf(object.btf), semantics: SEMANTICS, maps }));
object.close();
console.log(`${TARGET} written`);
