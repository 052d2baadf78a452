// Writes deploy/crds by `npm run gen`: one definition a file, from the schemas that read the objects.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { DEFINITIONS, describeKind } from './crd.js';

/** The project's folder, from src/ as from build/src/. */
const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');
const FOLDER = 'deploy/crds';

mkdirSync(join(ROOT, FOLDER), { recursive: true });
for (const definition of DEFINITIONS) {
  const name = `${FOLDER}/isthmus.dev_${definition.plural}.yaml`;
  const from = '# Made by npm run gen from the schemas in src/source; changes here are lost.\n';
  writeFileSync(
    join(ROOT, name),
    from + stringify(describeKind(definition), { aliasDuplicateObjects: false, lineWidth: 110 }),
  );
  console.log(`${name} written`);
}
