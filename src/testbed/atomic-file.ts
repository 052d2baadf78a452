// Files that are replaced as a whole.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';

/** A reader sees the old contents or the new, never half of them. */
export function writeAtomically(path: string, text: string): void {
  const slash = path.lastIndexOf('/');
  const directory = path.slice(0, slash);
  mkdirSync(directory, { recursive: true });
  const temporary = `${directory}/.${path.slice(slash + 1)}.new`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
