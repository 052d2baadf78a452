// Where the built programs are.
import { existsSync } from 'node:fs';
import { LabError } from './record.js';

/** The project's folder, from src/ as from build/src/. */
const ROOT = import.meta.dirname.replace(/(\/build)?\/src\/.*$/, '');

export const ISTHMUS = `${ROOT}/build/src/cli/main.js`;
export const CNI_PLUGIN = `${ROOT}/build/native/isthmus-cni`;
export const CNI_PATH = `${ROOT}/build/native`;
export const PROBE = `${ROOT}/build/native/isthmus-probe`;

/** Throws LabError when something that the lab runs has not been built, or when we may not build a lab here. */
export function requireBuild(): void {
  const missing = [ISTHMUS, CNI_PLUGIN, PROBE].filter((path) => !existsSync(path));
  if (missing.length > 0) {
    throw new LabError(`cannot build a lab: ${missing.join(', ')} not found. Nothing was changed. Run: npm run build`);
  }
  if (process.geteuid?.() !== 0) {
    throw new LabError('cannot build a lab: network namespaces need root. Nothing was changed. Run it with sudo');
  }
}
