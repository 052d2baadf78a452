// Grants of port blocks for tests, and a directory for a journal.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlockGrant } from '../../src/model/block-grant.js';

export const OUTSIDE = '192.0.2.11';
export const OUTSIDE_V6 = '2001:db8::11';
export const BLOCK_SIZE = 256;
const FIRST_PORT = 36864;

/** The grant of a block to pod `shop/<name>`; addresses follow from the block. */
export function aGrant(block: number, name: string, fields: Partial<BlockGrant> = {}): BlockGrant {
  return {
    ports: { first: firstPort(block), count: BLOCK_SIZE },
    addresses: [
      { inside: `10.244.1.${block}`, outside: OUTSIDE },
      { inside: `fd00:244:1::${block}`, outside: OUTSIDE_V6 },
    ],
    owner: { kind: 'Pod', namespace: 'shop', name, uid: `uid-${name}`, containerID: `container-${name}` },
    node: 'n1',
    clusterID: 'a',
    ...fields,
  };
}

export function firstPort(block: number): number {
  return FIRST_PORT + block * BLOCK_SIZE;
}

/** A directory that vanishes at the end of its scope. */
export function createTemporaryDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'ist-journal-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
