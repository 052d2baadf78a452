// The fake API server as a process, for agents in another namespace: `node fake-api-main.js PORT FILE`. FILE holds the
// objects, as JSON by path; it is read at the start and whenever a line comes on stdin.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { RESOURCES } from '../../src/source/kubernetes/resources.js';
import { FakeApiServer, type FakeObject } from './fake-api-server.js';

const [port = '0', file = ''] = process.argv.slice(2);
const server = await FakeApiServer.start(Number(port));
for (const { kind, path } of RESOURCES) server.serve(path, kind, path.split('/').slice(2, -1).join('/'));
put();
console.log('serving');
for await (const _ of createInterface(process.stdin)) put();
process.exit();

function put(): void {
  const objects = JSON.parse(readFileSync(file, 'utf8')) as Record<string, readonly FakeObject[]>;
  for (const [kind, list] of Object.entries(objects)) {
    const path = RESOURCES.find((resource) => resource.kind === kind)?.path ?? '';
    for (const object of list) server.put(path, object);
  }
}
