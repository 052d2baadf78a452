// A watched folder: what is delivered when its files change, break and vanish.
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Snapshot } from '../../src/model/snapshot.js';
import { DirectorySource } from '../../src/source/directory.js';

let root: string;
let directory: string;
let source: DirectorySource;
let snapshots: Snapshot[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ist-source-'));
  directory = join(root, 'manifests');
  await mkdir(directory);
  snapshots = [];
  source = new DirectorySource({ directory, debounceMs: 20, rescanMs: 60_000 });
});

afterEach(async () => {
  await source.close();
  await rm(root, { recursive: true, force: true });
});

const service = (name: string, address: string, port: number | string = 80) =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec:\n  clusterIP: ${address}\n  ports:\n  - port: ${port}\n`;
const write = (file: string, text: string) => writeFile(join(directory, file), text);
const start = () => source.start((snapshot) => snapshots.push(snapshot));

function summary(): { services: string[]; problems: string[] } {
  const last = snapshots.at(-1);
  return {
    services: [...(last?.services ?? [])].map(([name, { clusterIPs }]) => `${name} ${clusterIPs}`),
    problems: (last?.problems ?? []).map(
      ({ where, object, reason, inForce }) => `${where} ${object}: ${reason} [${inForce}]`,
    ),
  };
}

/** Waits for the snapshot that a change leads to. */
const becomes = (services: string[], problems: unknown[] = []) =>
  vi.waitFor(() => expect(summary()).toEqual({ services, problems }), { timeout: 3000, interval: 10 });

test('all documents of all manifests are delivered at start', async () => {
  await write('a.yaml', `${service('web', '10.96.0.1')}---\n---\n${service('api', '10.96.0.2')}`);
  await write(
    'b.json',
    JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, status: { addresses: [] } }),
  );
  await write('c.yml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n');
  await start();
  expect(summary()).toEqual({ services: ['shop/api 10.96.0.2', 'shop/web 10.96.0.1'], problems: [] });
  expect([...(snapshots[0]?.nodes.keys() ?? [])]).toEqual(['n']);
});

test("editors' and hidden files are not read", async () => {
  for (const name of ['.a.yaml.swp', 'a.yaml~', '#a.yaml#', '.#a.yaml', '4913', 'a.yaml.tmp', '.a.yaml']) {
    await write(name, service('web', '10.96.0.1'));
  }
  await mkdir(join(directory, 'folder.yaml'));
  await start();
  expect(summary()).toEqual({ services: [], problems: [] });
});

test('a list is its items, each with its own line', async () => {
  const item = (name: string, port: string) =>
    `- metadata: {name: ${name}}\n  spec:\n    clusterIP: 10.96.0.${name.length}\n    ports:\n    - port: ${port}\n`;
  await write('l.yaml', `apiVersion: v1\nkind: ServiceList\nitems:\n${item('a', '80')}${item('bb', '0')}`);
  await start();
  expect(summary()).toEqual({
    services: ['default/a 10.96.0.1'],
    problems: [
      'l.yaml:13 Service default/bb: spec.ports[0].port: Too small: expected number to be >=1 [nothing of it]',
    ],
  });
});

test('a changed, added or removed file is delivered', async () => {
  await start();
  await write('a.yaml', service('web', '10.96.0.1'));
  await becomes(['shop/web 10.96.0.1']);
  await write('a.yaml', service('web', '10.96.0.9'));
  await becomes(['shop/web 10.96.0.9']);
  await rm(join(directory, 'a.yaml'));
  await becomes([]);
});

test('a file put in place by rename is delivered', async () => {
  await write('a.yaml', service('web', '10.96.0.1'));
  await start();
  await write('.a.yaml.new', service('web', '10.96.0.2'));
  await rename(join(directory, '.a.yaml.new'), join(directory, 'a.yaml'));
  await becomes(['shop/web 10.96.0.2']);
});

test('a mounted ConfigMap, whose files are links that change all at once, is delivered', async () => {
  for (const [version, address] of [
    ['..1', '10.96.0.1'],
    ['..2', '10.96.0.2'],
  ] as const) {
    await mkdir(join(directory, version));
    await write(`${version}/a.yaml`, service('web', address));
  }
  await symlink('..1', join(directory, '..data'));
  await symlink('..data/a.yaml', join(directory, 'a.yaml'));
  await start();
  expect(summary().services).toEqual(['shop/web 10.96.0.1']);
  await symlink('..2', join(directory, '..data_tmp'));
  await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  await becomes(['shop/web 10.96.0.2']);
});

test('an invalid document keeps its last good state, and the good ones beside it are applied', async () => {
  await write('shop.yaml', `${service('api', '10.96.0.1')}---\n${service('web', '10.96.0.2')}`);
  await start();
  await write('shop.yaml', `${service('api', '10.96.0.7')}---\n${service('web', '10.96.0.8', 'http')}`);
  await becomes(
    ['shop/api 10.96.0.7', 'shop/web 10.96.0.2'],
    [
      'shop.yaml:15 Service shop/web: spec.ports[0].port: Invalid input: expected number, received string [the last good state of Service shop/web]',
    ],
  );
  await write('shop.yaml', service('web', '10.96.0.3'));
  await becomes(['shop/web 10.96.0.3']);
});

test('a file that no longer parses loses none of its objects', async () => {
  await write('shop.yaml', `${service('api', '10.96.0.1')}---\n${service('web', '10.96.0.2')}`);
  await start();
  await write('shop.yaml', 'apiVersion: v1\nkind: Service\nmetadata: {name: [api\n');
  await becomes(
    ['shop/api 10.96.0.1', 'shop/web 10.96.0.2'],
    [
      expect.stringMatching(
        /^shop\.yaml:4 shop\.yaml: not valid YAML: .* \[the last good state of the objects of shop\.yaml \(2\)\]$/,
      ),
    ],
  );
  await write('shop.yaml', service('api', '10.96.0.5'));
  await becomes(['shop/api 10.96.0.5']);
});

test('a document without a name may be any of those that the file had', async () => {
  await write('a.yaml', service('web', '10.96.0.1'));
  await start();
  await write('a.yaml', service('web', '10.96.0.1').replace('name: web, ', ''));
  await becomes(
    ['shop/web 10.96.0.1'],
    ['a.yaml:3 a.yaml: metadata.name: is missing: expected string [the last good state of the objects of a.yaml (1)]'],
  );
});

test('an object defined twice counts where it is first, and both places are named', async () => {
  await write('a.yaml', service('web', '10.96.0.1'));
  await write('b.yaml', `# second\n${service('web', '10.96.0.2')}`);
  await start();
  const reason = 'defined a second time; it is defined at a.yaml:1 already [the definition at a.yaml:1]';
  expect(summary()).toEqual({ services: ['shop/web 10.96.0.1'], problems: [`b.yaml:2 Service shop/web: ${reason}`] });
  await rm(join(directory, 'a.yaml'));
  await becomes(['shop/web 10.96.0.2']);
});

test('an unknown kind is a problem that does no harm', async () => {
  await write(
    'a.yaml',
    `${service('web', '10.96.0.1')}---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n`,
  );
  await start();
  expect(summary()).toEqual({
    services: ['shop/web 10.96.0.1'],
    problems: ['a.yaml:10 Widget default/w: kind: Widget is not a kind that is known here [nothing of it]'],
  });
});

test('objects that contradict each other are refused with their place', async () => {
  await write('a.yaml', `${service('api', '10.96.0.1')}---\n${service('web', '10.96.0.1')}`);
  await start();
  expect(summary()).toEqual({
    services: ['shop/api 10.96.0.1'],
    problems: ['a.yaml:9 Service shop/web: its cluster IP 10.96.0.1 belongs to Service shop/api [nothing of it]'],
  });
});

test('many writes in a row are one delivery, and an unchanged text is none', async () => {
  await write('a.yaml', service('web', '10.96.0.1'));
  await start();
  await write('a.yaml', service('web', '10.96.0.1'));
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(snapshots.length).toBe(1);
  for (let index = 2; index <= 9; index++) await write('a.yaml', service('web', `10.96.0.${index}`));
  await becomes(['shop/web 10.96.0.9']);
  expect(snapshots.length).toBeLessThanOrEqual(3);
});

test('without notices the re-scan finds a change, also in a directory that took the place of the first', async () => {
  source = new DirectorySource({ directory, debounceMs: 60_000, rescanMs: 30 });
  await write('a.yaml', service('web', '10.96.0.1'));
  await start();
  await write('a.yaml', service('web', '10.96.0.2'));
  await becomes(['shop/web 10.96.0.2']);
  await mkdir(`${directory}.new`);
  await writeFile(join(`${directory}.new`, 'a.yaml'), service('web', '10.96.0.3'));
  await rename(directory, `${directory}.old`);
  await becomes(['shop/web 10.96.0.2'], [expect.stringContaining('cannot be read: ENOENT')]);
  await rename(`${directory}.new`, directory);
  await becomes(['shop/web 10.96.0.3']);
});

test('nothing is delivered after close', async () => {
  await start();
  await write('a.yaml', service('web', '10.96.0.1'));
  await source.close();
  const count = snapshots.length;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(snapshots.length).toBe(count);
});

test('start fails when there is no directory', async () => {
  source = new DirectorySource({ directory: join(directory, 'missing') });
  await expect(start()).rejects.toThrow(/cannot read the source directory .*missing: ENOENT.*; nothing was applied/);
});
