// The configuration that container runtimes find: whole, and not touched when it is as it should be.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CNI_CONFIG_NAME, writeCniConfig } from '../../src/agent/cni-config.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ist-cni-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('it names the plugin, in a directory that need not exist', () => {
  const nested = join(directory, 'net.d');
  writeCniConfig(nested);
  const config = JSON.parse(readFileSync(join(nested, CNI_CONFIG_NAME), 'utf8'));
  const capabilities = { portMappings: true, bandwidth: true, ips: true, mac: true, dns: true };
  expect(config).toEqual({ cniVersion: '1.0.0', name: 'isthmus', plugins: [{ type: 'isthmus-cni', capabilities }] });
  expect(readdirSync(nested)).toEqual([CNI_CONFIG_NAME]);
});

test('a second time changes nothing: runtimes would read it anew', () => {
  writeCniConfig(directory);
  const { ino } = statSync(join(directory, CNI_CONFIG_NAME));
  writeCniConfig(directory);
  expect(statSync(join(directory, CNI_CONFIG_NAME)).ino).toBe(ino);
});
