// The network configuration that container runtimes look for: a node has a network for pods when it is there.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from './endpoint-store.js';

/** Runtimes take the first name: before what other plugins write by custom. */
export const CNI_CONFIG_NAME = '05-isthmus.conflist';

/** What a runtime is to hand on: without its name here it keeps it. */
const capabilities = { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true };
/** The newest version that containerd 1.6 knows. */
const CONFIG = { cniVersion: '1.0.0', name: 'isthmus', plugins: [{ type: 'isthmus-cni', capabilities }] };

/** Writes it, unless it is there already: a runtime reads each change anew. Throws what the file system says. */
export function writeCniConfig(directory: string): void {
  const path = join(directory, CNI_CONFIG_NAME);
  const text = `${JSON.stringify(CONFIG, undefined, 2)}\n`;
  if (read(path) === text) return;
  mkdirSync(directory, { recursive: true });
  writeDurably(path, text);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
