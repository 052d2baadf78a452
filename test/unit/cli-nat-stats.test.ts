// How full the translation is, from blocks, flows and counters.
import { expect, test } from 'vitest';
import { formatCell } from '../../src/cli/format.js';
import type { PortBlock } from '../../src/cli/view/nat-owner.js';
import { type NatCounter, UsageIndex, viewAddresses, viewChoices } from '../../src/cli/view/nat-stats.js';
import type { TranslationItem } from '../../src/cli/view/translation.js';

const NODE: PortBlock = { address: '192.0.2.11', host: true, natAddress: '192.0.2.11', first: 36864, count: 256 };
const POD: PortBlock = { address: '10.244.1.2', host: false, natAddress: '192.0.2.11', first: 37120, count: 256 };
const NOTHING: PortBlock = { address: 'fd00::2', host: false, natAddress: '::', first: 37120, count: 256 };

function aFlow(port: number, remote: string, fields: Partial<TranslationItem> = {}): TranslationItem {
  return {
    node: 'n1',
    protocol: 'tcp',
    translation: 'source',
    inside: { address: '10.244.1.2', port: 50_000 },
    outside: { address: '192.0.2.11', port },
    remote: { address: remote, port: 443 },
    state: 'established',
    ageSeconds: 1,
    idleSeconds: 1,
    packets: 1n,
    bytes: 1n,
    ...fields,
  };
}

test('flows count towards the block of their port, and the busiest remote says how full it is', () => {
  const index = new UsageIndex([NODE, POD, NOTHING]);
  for (let port = 37120; port < 37120 + 64; port++) index.add(aFlow(port, '198.51.100.9'));
  index.add(aFlow(37120, '198.51.100.10'));
  index.add(aFlow(37121, '198.51.100.9', { protocol: 'udp' }));
  const pod = index.all.find(({ block }) => block === POD);
  expect(pod?.view('n1', { kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'u' })).toEqual({
    node: 'n1',
    owner: { kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'u' },
    address: '192.0.2.11',
    ports: { first: 37120, last: 37375 },
    flows: 66,
    portsInUse: 64,
    busiest: { protocol: 'tcp', remote: { address: '198.51.100.9', port: 443 }, flows: 64, fillPercent: 25 },
  });
  expect(
    viewAddresses({
      node: 'n1',
      usages: index.all,
      addresses: ['192.0.2.11', '203.0.113.7'],
      total: 112,
      blockSize: 256,
      held: (address) => (address === '192.0.2.11' ? 3 : 0),
    }),
  ).toEqual([
    {
      node: 'n1',
      address: '192.0.2.11',
      blocks: { total: 112, used: 2, held: 3, free: 107 },
      flows: 66,
      portsInUse: 64,
      fillPercent: 12.5,
    },
    {
      node: 'n1',
      address: '203.0.113.7',
      blocks: { total: 112, used: 0, held: 0, free: 112 },
      flows: 0,
      portsInUse: 0,
      fillPercent: 0,
    },
  ]);
});

test('closed flows, frontends and ports outside of all blocks do not count', () => {
  const index = new UsageIndex([POD]);
  index.add(aFlow(37120, '198.51.100.9', { state: 'closed' }));
  index.add(aFlow(37120, '198.51.100.9', { translation: 'destination' }));
  index.add(aFlow(40_000, '198.51.100.9'));
  expect(index.all[0]?.flows).toBe(0);
  expect(index.all[0]?.view('n1', { kind: 'Node', name: 'n1' })).not.toHaveProperty('busiest');
});

test('counters of all CPUs are summed, and the histogram names its ranges', () => {
  const counter = (first: bigint, fourth: bigint): NatCounter => ({
    ...{ created: 5n, reused: 4n, shifted: 3n, forced: 2n, exhausted: 1n },
    probes: [first, 0n, 0n, fourth, 1n],
  });
  const choices = viewChoices([counter(1n, 2n), counter(10n, 20n)]);
  expect(choices).toMatchObject({ created: 10n, reused: 8n, shifted: 6n, forced: 4n, exhausted: 2n });
  expect(choices.probes).toEqual([
    { from: 1, to: 1, count: 11n },
    { from: 2, to: 2, count: 0n },
    { from: 3, to: 4, count: 0n },
    { from: 5, to: 8, count: 22n },
    { from: 9, count: 2n },
  ]);
  expect(formatCell(choices.probes, 'histogram')).toBe('1:11 5-8:22 9+:2');
});
