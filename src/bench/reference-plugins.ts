// The CNI project's own plugins: where they are installed, and what they say of themselves.
import { existsSync } from 'node:fs';
import { capture } from '../testbed/command.js';

/** Of Debian's package containernetworking-plugins, and of most others. */
const DIRECTORIES = ['/usr/lib/cni', '/opt/cni/bin'];

export type ReferencePlugins = { readonly directory: string } | { readonly missing: string };

/** The directory that has all of them. */
export function findReferencePlugins(names: readonly string[]): ReferencePlugins {
  const directory = DIRECTORIES.find((path) => names.every((name) => existsSync(`${path}/${name}`)));
  if (directory !== undefined) return { directory };
  return { missing: `no directory has ${names.join(', ')}: not ${DIRECTORIES.join(' nor ')}` };
}

/** What a plugin says when it is asked for nothing; Debian's know no version of their own. */
export async function pluginVersion(program: string): Promise<string> {
  const { stdout, stderr } = await capture([program], { env: {} });
  const text = `${stderr}${stdout}`;
  return /\bv[0-9]\S*/.exec(text)?.[0] ?? `speaks CNI ${/([\d.]+)\s*$/.exec(text)?.[1] ?? 'of an unknown version'}`;
}

/** Of what a plugin printed: the error, which is among results. */
export function pluginError(text: string): string {
  return /"msg": *"[^"]*"(, *"details": *"[^"]*")?/.exec(text.replace(/\n */g, ' '))?.[0] ?? text.trim().slice(-500);
}
