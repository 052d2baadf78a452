// What the documentation names must exist.
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;
const read = (name: string): string => readFileSync(`${ROOT}${name}`, 'utf8');

describe('docs/packet-flow.md', () => {
  const sources = globSync('bpf/**/*.{h,c}', { cwd: ROOT }).map(read).join('\n');
  const page = read('docs/packet-flow.md');
  const names = new Set(page.match(/\b[a-z]+(?:_[a-z0-9]+)+\b/g));

  it('names functions', () => {
    expect(names.size).toBeGreaterThan(40);
  });

  it.each([...names].filter((name) => !name.startsWith('bpf_') && name !== 'answer_'))('%s is a function', (name) => {
    expect(sources).toMatch(new RegExp(`\\b${name}\\(`));
  });
});

describe('docs/architecture.md', () => {
  const files = [
    ...read('docs/architecture.md').matchAll(
      /\b((?:agent|source|model|datapath|src\/bpf|src\/datapath)\/[a-z.-]+\.ts)\b/g,
    ),
  ];

  it.each(files.map(([, name = '']) => name))('%s exists', (name) => {
    expect(globSync([name, `src/${name}`], { cwd: ROOT })).toHaveLength(1);
  });
});
