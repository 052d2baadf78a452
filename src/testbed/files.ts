// Where the built programs are.
import { existsSync } from 'node:fs';
import { TestbedError } from './error.js';

/** The project's folder, from src/ as from build/src/. */
export const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

export const ISTHMUS = `${ROOT}/build/src/cli/main.js`;
export const CNI_PLUGIN = `${ROOT}/build/native/isthmus-cni`;
export const CNI_PATH = `${ROOT}/build/native`;
export const PROBE = `${ROOT}/build/native/isthmus-probe`;

/** Throws TestbedError when something that it runs has not been built, or when we may not build it here. */
export function requireBuild(what: string): void {
  const missing = [ISTHMUS, CNI_PLUGIN, PROBE].filter((path) => !existsSync(path));
  if (missing.length > 0) {
    throw new TestbedError(
      `cannot build ${what}: ${missing.join(', ')} not found. Nothing was changed. Run: npm run build`,
    );
  }
  if (process.geteuid?.() !== 0) {
    throw new TestbedError(`cannot build ${what}: network namespaces need root. Nothing was changed. Run it with sudo`);
  }
}
