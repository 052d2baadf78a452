// The order in which port blocks are given: not to be guessed from outside (RFC 6888 REQ-15), the same until reboot.
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BlockOrder } from '../model/network.js';
import { writeDurably } from './endpoint-store.js';

export const KEY_NAME = 'block-key.json';
const KEY_BYTES = 32;

/** The key of this boot: made once, and kept in the state directory for the agents after this one. */
export function loadBlockKey(stateDir: string, bootID: string = readBootID()): Buffer {
  const path = join(stateDir, KEY_NAME);
  const known = readKey(path, bootID);
  if (known !== undefined) return known;
  const key = randomBytes(KEY_BYTES);
  writeDurably(path, JSON.stringify({ bootID, key: key.toString('hex') }));
  return key;
}

/** The numbers 1 to count - 1: block 0 is the node's own. */
export function orderBlocks(count: number, order: BlockOrder, key: Uint8Array): number[] {
  const blocks = Array.from({ length: Math.max(0, count - 1) }, (_, index) => index + 1);
  if (order === 'Sequential') return blocks;
  const ranks = new Map(blocks.map((block) => [block, createHmac('sha256', key).update(String(block)).digest('hex')]));
  return blocks.sort((a, b) => ((ranks.get(a) ?? '') < (ranks.get(b) ?? '') ? -1 : 1));
}

function readBootID(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** undefined when there is none, or that of another boot. */
function readKey(path: string, bootID: string): Buffer | undefined {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as { bootID?: unknown; key?: unknown };
    const key = Buffer.from(String(record.key), 'hex');
    return record.bootID === bootID && key.length === KEY_BYTES ? key : undefined;
  } catch {
    return undefined;
  }
}
