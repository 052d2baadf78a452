// When the agent puts the xdp program on the uplink, and what it says when it does not.
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { attachXdp, type XdpOptions } from '../../src/agent/xdp.js';
import type { LinkInfo } from '../../src/net/native.js';

const NIC: LinkInfo = { ifindex: 2, name: 'up', kind: '', mac: '02:00:00:00:00:01', mtu: 1500, up: true, peer: 0 };
const VETH: LinkInfo = { ...NIC, kind: 'veth', peer: 3 };
const REFUSAL = 'cannot attach xdp_native to device 2 in native mode: not supported';

/** What was asked of the datapath, and what the agent says of it. */
function run(wanted: XdpOptions['wanted'], { uplink = NIC, refuses = false } = {}) {
  const asked: string[] = [];
  const datapath = {
    attachXdp: (device: string, _ifindex: number, mode: string) => {
      asked.push(`attach ${device} ${mode}`);
      if (refuses) throw new Error(REFUSAL);
    },
    leaveXdp: (device: string, ...modes: readonly string[]) => asked.push(`leave ${device} ${modes.join(' ')}`),
  };
  const log = pino({ level: 'silent' });
  const state = attachXdp({ datapath: datapath as unknown as XdpOptions['datapath'], uplink, wanted, log });
  return { asked, state };
}

describe('auto', () => {
  test('is native mode on a device of its own driver', () => {
    expect(run('auto')).toEqual({ asked: ['attach up native'], state: { mode: 'native' } });
  });

  test('is tc on a veth, and an earlier program is taken off', () => {
    const { asked, state } = run('auto', { uplink: VETH });
    expect(asked).toEqual(['leave up native generic']);
    expect(state).toEqual({ mode: 'tc', reason: expect.stringContaining('--xdp native has it anyway') });
  });

  test('is tc where the driver refuses, never generic mode', () => {
    const { asked, state } = run('auto', { refuses: true });
    expect(asked).toEqual(['attach up native']);
    expect(state).toEqual({ mode: 'tc', reason: expect.stringMatching(/not supported; generic mode is not chosen/) });
  });
});

test('a mode that is asked for is tried, on any device', () => {
  expect(run('native', { uplink: VETH }).state).toEqual({ mode: 'native' });
  expect(run('generic', { uplink: VETH })).toEqual({ asked: ['attach up generic'], state: { mode: 'generic' } });
  expect(run('generic', { refuses: true }).state).toEqual({ mode: 'tc', reason: REFUSAL });
});

test('never takes it off, and has no reason to give', () => {
  expect(run('never')).toEqual({ asked: ['leave up native generic'], state: { mode: 'tc' } });
});
