// The pins of an instance: which maps there are, and a clear sentence when one is not.
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Instance } from '../api/instances.js';
import { CliError, EXIT, notFound } from './exit.js';

/** Beside the maps: our links, and the iterators that the kernel puts into the root of a bpf file system. */
const NO_MAPS: ReadonlySet<string> = new Set(['links', 'maps.debug', 'progs.debug']);

/** Names of the maps pinned in a directory, in order. Throws the error of the file system. */
export async function mapPins(bpffs: string): Promise<string[]> {
  const entries = await readdir(bpffs, { withFileTypes: true });
  return entries
    .filter((entry) => !NO_MAPS.has(entry.name) && !entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** The pinned maps of an instance. Throws CliError when the directory cannot be read. */
export async function listPins({ node, state }: Instance): Promise<string[]> {
  return mapPins(state.bpffs).catch((cause: NodeJS.ErrnoException) => {
    throw unreadable(cause, `the pinned maps of node ${node} in ${state.bpffs}`);
  });
}

/** The path of a pinned map. Throws CliError: no such map, no permission, or no maps at all. */
export async function pinOf(instance: Instance, map: string): Promise<string> {
  const path = join(instance.state.bpffs, map);
  await access(path).catch(async (cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw unreadable(cause, path);
    const there = await listPins(instance);
    if (there.length === 0)
      throw unreadable(cause, `the pinned maps of node ${instance.node} in ${instance.state.bpffs}`);
    throw notFound(`no map '${map}' on node ${instance.node}: there is ${there.join(', ')}`);
  });
  return path;
}

function unreadable(cause: NodeJS.ErrnoException, what: string): CliError {
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    return new CliError(EXIT.permission, `no permission to read ${what}; run as root`, { cause });
  }
  const why = cause.code === 'ENOENT' ? 'there are none' : cause.message;
  const advice = 'is the bpf file system mounted here, and has the agent run since boot?';
  return new CliError(EXIT.unreachable, `cannot read ${what}: ${why}; ${advice}`, { cause });
}
