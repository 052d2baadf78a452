// Programs of others that tests of the CNI plugin run: found where they are installed, or absent with a reason.
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const ROOT = import.meta.dirname.replace(/(\/build)?\/test\/.*$/, '');
/** Where scripts/cni-programs.sh builds cnitool. */
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'isthmus/cni-v1.3.0/bin');
/** Where distributions have the plugins of the CNI project. */
const PLUGIN_DIRECTORIES = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'];

/** Directory of isthmus-cni. */
export const OWN_PLUGINS = join(ROOT, 'build/native');

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Full path of a program of the PATH, or of cnitool's cache; undefined when it is not there. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(':'), CACHE];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** The directory that has all of these plugins; undefined when there is none. */
export function findPlugins(...names: readonly string[]): string | undefined {
  return PLUGIN_DIRECTORIES.find((directory) => names.every((name) => isExecutable(join(directory, name))));
}
