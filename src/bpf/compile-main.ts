// Compiles the datapath for the build: `node build/src/bpf/compile-main.js [--always]`.
import { join } from 'node:path';
import { compileDatapath } from './compile.js';
import { messageOf } from './error.js';

/** The project's folder, from src/ as from build/src/. */
const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

try {
  const { objectPath, compiled } = await compileDatapath({
    sourceDir: join(ROOT, 'bpf'),
    outputDir: join(ROOT, 'build/bpf'),
    mode: process.argv.includes('--always') ? 'always' : 'auto',
  });
  console.log(`${objectPath} ${compiled ? 'compiled' : 'is up to date'}`);
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
