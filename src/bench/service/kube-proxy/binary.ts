// Whether the real kube-proxy is on this machine, and what it would take to run it.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { capture } from '../../../testbed/command.js';

/** Where it was found and its version; or where it was looked for. */
export type KubeProxy =
  | { readonly path: string; readonly version: string; readonly apiServer?: string }
  | { readonly lookedIn: readonly string[] };

const NAME = 'kube-proxy';
const API_SERVER = 'kube-apiserver';

/** Looks in KUBEBUILDER_ASSETS, as envtest's tools do, and then along PATH. */
export async function findKubeProxy(env: NodeJS.ProcessEnv): Promise<KubeProxy> {
  const directories = [env.KUBEBUILDER_ASSETS ?? '', ...(env.PATH ?? '').split(delimiter)].filter(Boolean);
  const path = findIn(directories, NAME);
  if (path === undefined) return { lookedIn: directories };
  const apiServer = findIn(directories, API_SERVER);
  const said = await capture([path, '--version'], { env }).catch((error: Error) => ({ stdout: error.message }));
  return { path, version: said.stdout.trim(), ...(apiServer === undefined ? {} : { apiServer }) };
}

function findIn(directories: readonly string[], name: string): string | undefined {
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

/** Why it is not among those that are measured. */
export function whyNotMeasured(found: KubeProxy): string {
  if ('lookedIn' in found)
    return `not found: neither in KUBEBUILDER_ASSETS nor on PATH; its rules are written by a generator instead`;
  const server = found.apiServer === undefined ? `and no ${API_SERVER} is beside it` : `(${found.apiServer} is here)`;
  return (
    `${found.path} (${found.version}) was found, but is not run: it reads Services from an API server, which this ` +
    `benchmark does not start ${server}; its rules are written by a generator instead`
  );
}
