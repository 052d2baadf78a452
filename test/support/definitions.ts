// Our kinds, installed in an API server.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import type { ApiClient } from '../../src/kubernetes/api-client.js';

const ROOT = import.meta.dirname.replace(/(\/build)?\/test\/.*$/, '');
const PATH = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

interface Defined {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** Resolves when objects of them can be made. */
export async function installDefinitions(client: ApiClient): Promise<void> {
  const folder = join(ROOT, 'deploy/crds');
  const files = (await readdir(folder)).filter((file) => file.startsWith('isthmus.dev_'));
  for (const file of files) {
    const body = parse(await readFile(join(folder, file), 'utf8')) as Defined;
    await client.json({ method: 'POST', path: PATH, body });
    await established(client, body.metadata.name);
  }
}

async function established(client: ApiClient, name: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { status } = (await client.json({ path: `${PATH}/${name}` })) as Defined;
    if (status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True')) return;
    await sleep(100);
  }
  throw new Error(`the definition ${name} was not established`);
}
