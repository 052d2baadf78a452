// The images of the harness: the pod's pause, the programs of tests, and the agent as the Dockerfile describes it.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { run } from '../../src/testbed/command.js';
import { PROBE, ROOT } from '../../src/testbed/files.js';
import { writeImageArchive, writeLayer } from './image-archive.js';

export const PAUSE_IMAGE = 'isthmus.test/pause:1';
export const TOOLS_IMAGE = 'isthmus.test/tools:1';
export const AGENT_IMAGE = 'isthmus.test/isthmus:1';

const DEBIAN = 'bookworm';
const BASE_MS = 300_000;

/** Makes the archives of all images below a directory and returns their paths; `programs` is where agnhost and coredns are. */
export async function makeImages(directory: string, programs: string): Promise<string[]> {
  mkdirSync(directory, { recursive: true });
  return Promise.all([makePause(directory), makeTools(directory, programs), makeAgent(directory)]);
}

async function makePause(directory: string): Promise<string> {
  const folder = `${directory}/pause`;
  mkdirSync(folder);
  await run(['gcc', '-static', '-Os', '-s', '-o', `${folder}/pause`, `${ROOT}/test/cluster/images/pause.c`]);
  const layer = `${folder}/layer.tar`;
  await writeLayer(layer, { folder, files: ['pause'] });
  const archive = `${directory}/pause.tar`;
  await writeImageArchive(archive, { name: PAUSE_IMAGE, layers: [layer], entrypoint: ['/pause'] });
  return archive;
}

/** Static programs, all in one image: agnhost, CoreDNS and the probe. */
async function makeTools(directory: string, programs: string): Promise<string> {
  const folder = `${directory}/tools`;
  mkdirSync(folder);
  for (const path of [`${programs}/agnhost`, `${programs}/coredns`, PROBE]) {
    copyFileSync(path, `${folder}/${path.split('/').at(-1)}`);
  }
  const layer = `${folder}/layer.tar`;
  await writeLayer(layer, { folder, files: ['agnhost', 'coredns', 'isthmus-probe'] });
  const archive = `${directory}/tools.tar`;
  await writeImageArchive(archive, { name: TOOLS_IMAGE, layers: [layer], entrypoint: ['/agnhost'] });
  return archive;
}

/** What the Dockerfile's runtime stage has, from this build: nothing is compiled or fetched twice. */
async function makeAgent(directory: string): Promise<string> {
  const folder = `${directory}/agent`;
  mkdirSync(`${folder}/usr/local/bin`, { recursive: true });
  symlinkSync('/opt/isthmus/bin/isthmus', `${folder}/usr/local/bin/isthmus`);
  const base = `${folder}/base.tar`;
  linkOrCopy(await findBase(folder), base);
  const link = `${folder}/link.tar`;
  await writeLayer(link, { folder, files: ['usr/local/bin/isthmus'] });
  const modules = `${folder}/modules.tar`;
  await writeLayer(modules, { folder: ROOT, files: productionModules(), place: 'opt/isthmus/' });
  const program = `${folder}/program.tar`;
  const files = ['package.json', 'package-lock.json', 'LICENSE', 'LICENSES', 'bin', 'build/src', 'build/bpf'];
  const native = ['bpf.node', 'net.node', 'isthmus-cni'].map((name) => `build/native/${name}`);
  await writeLayer(program, { folder: ROOT, files: [...files, ...native], place: 'opt/isthmus/' });
  const archive = `${directory}/agent.tar`;
  await writeImageArchive(archive, {
    name: AGENT_IMAGE,
    layers: [base, link, modules, program],
    entrypoint: ['node', '/opt/isthmus/build/src/cli/main.js'],
    command: ['agent'],
  });
  return archive;
}

/** What `npm ci --omit=dev` would install, by the lock. */
function productionModules(): string[] {
  const lock = JSON.parse(readFileSync(`${ROOT}/package-lock.json`, 'utf8')) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; optional?: boolean }>;
  };
  return (
    Object.entries(lock.packages)
      .filter(([path, { dev, devOptional }]) => path.startsWith('node_modules/') && !dev && !devOptional)
      .map(([path]) => path)
      // What is inside another package comes with it.
      .filter((path) => !path.includes('/node_modules/'))
      .filter((path) => existsSync(`${ROOT}/${path}`))
  );
}

/** Debian with the packages of the Dockerfile's runtime stage and our Node: made once for each such list. */
async function findBase(scratch: string): Promise<string> {
  const packages = ['ca-certificates', ...runtimePackages()];
  const key = createHash('sha256')
    .update([DEBIAN, process.version, process.arch, ...packages].join(' '))
    .digest('hex');
  const cache = `${process.env.XDG_CACHE_HOME ?? `${homedir()}/.cache`}/isthmus/images`;
  const path = `${cache}/base-${key.slice(0, 16)}.tar`;
  if (!existsSync(path)) await makeBase(path, packages, scratch);
  return path;
}

async function makeBase(path: string, packages: readonly string[], scratch: string): Promise<void> {
  const unfinished = `${scratch}/unfinished.tar`;
  const variant = ['--variant=minbase', `--include=${packages.join(',')}`];
  // Nobody reads manuals in there.
  const lean = ['doc', 'man', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  await run(['mmdebstrap', '--quiet', ...variant, ...lean, DEBIAN, unfinished], { timeout: BASE_MS });
  const node = [
    '--owner=0',
    '--group=0',
    '--transform=s,^.*$,./usr/local/bin/node,',
    '--absolute-names',
    process.execPath,
  ];
  await run(['tar', '--append', '--file', unfinished, ...node], { timeout: BASE_MS });
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  linkOrCopy(unfinished, temporary);
  renameSync(temporary, path);
  rmSync(unfinished);
}

/** The packages that the last stage of the Dockerfile installs. */
function runtimePackages(): string[] {
  const stage = readFileSync(`${ROOT}/Dockerfile`, 'utf8').split(' AS runtime')[1] ?? '';
  const line = /apt-get install .*--no-install-recommends ([^&\\]+)/.exec(stage)?.[1];
  if (line === undefined) throw new Error('the runtime stage of the Dockerfile installs no packages any more');
  return line.trim().split(/\s+/);
}

/** The cache may be on another file system. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
