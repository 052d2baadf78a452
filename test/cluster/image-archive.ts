// Container images without a registry: layers that are tar files, put into an archive that `ctr images import` reads.
import { createHash } from 'node:crypto';
import { createReadStream, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { run } from '../../src/testbed/command.js';

export interface Image {
  /** With registry and tag, as pods name it. */
  readonly name: string;
  /** Tar files, the lowest first; on the file system of the archive. */
  readonly layers: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command?: readonly string[];
}

const TAR_MS = 120_000;

/** Writes the archive; its format is that of `docker save`. */
export async function writeImageArchive(path: string, image: Image): Promise<void> {
  const folder = `${path}.parts`;
  mkdirSync(folder, { recursive: true });
  const digests = await Promise.all(image.layers.map(digestOf));
  image.layers.forEach((layer, index) => {
    linkSync(layer, `${folder}/layer-${index}.tar`);
  });
  writeFileSync(`${folder}/config.json`, JSON.stringify(configOf(image, digests)));
  const layers = image.layers.map((_, index) => `layer-${index}.tar`);
  writeFileSync(
    `${folder}/manifest.json`,
    JSON.stringify([{ Config: 'config.json', RepoTags: [image.name], Layers: layers }]),
  );
  await run(['tar', '--create', '--file', path, '--directory', folder, 'manifest.json', 'config.json', ...layers], {
    timeout: TAR_MS,
  });
  rmSync(folder, { recursive: true });
}

/** A layer of files of one folder, with a place in the image: `opt/isthmus/`, or nothing for its root. */
export async function writeLayer(
  path: string,
  { folder, files, place = '' }: { folder: string; files: readonly string[]; place?: string },
): Promise<void> {
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  // Names move, targets of symbolic links do not.
  const move = place === '' ? [] : [`--transform=s,^,${place},S`];
  const argv = ['tar', '--create', '--file', path, ...owner, ...move, '--directory', folder, '--', ...files];
  await run(argv, { timeout: TAR_MS });
}

function configOf({ entrypoint, command }: Image, digests: readonly string[]): unknown {
  return {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Entrypoint: entrypoint,
      ...(command ? { Cmd: command } : {}),
      WorkingDir: '/',
    },
    rootfs: { type: 'layers', diff_ids: digests },
  };
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return `sha256:${hash.digest('hex')}`;
}
