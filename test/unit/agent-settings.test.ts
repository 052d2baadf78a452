// What the agent was told: flag before environment before default, and one sentence for whatever cannot be used.
import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { type AgentFlags, resolveSettings, SettingsError } from '../../src/agent/settings.js';

const originOf = (flags: AgentFlags, environment: Record<string, string>, name: string) =>
  resolveSettings(flags, environment).origins.find((origin) => origin.name === name);

test('everything has a default, and says so', () => {
  const { settings, origins } = resolveSettings({}, {});
  expect(settings).toEqual({
    node: hostname(),
    source: '/etc/isthmus/manifests',
    kubeconfig: '',
    stateDir: '/run/isthmus',
    bpffs: '/sys/fs/bpf/isthmus',
    device: '',
    cgroup: '',
    cniConfDir: '',
    compile: 'auto',
    attach: 'auto',
    flowEntries: 1_048_576,
    fragments: 'auto',
    sockets: 'auto',
    xdp: 'auto',
    bigTcp: 'auto',
    gro: 'auto',
    journalDir: '/run/isthmus/journal',
    journalMaxBytes: 67_108_864,
    journalMaxAgeDays: 90,
    healthzBindAddress: { host: '', port: 10_256 },
    metricsBindAddress: { host: '127.0.0.1', port: 10_249 },
    healthTimeoutSeconds: 60,
    logLevel: 'info',
  });
  expect(origins.map(({ origin }) => origin)).toEqual(Array(23).fill('default'));
});

test('the name of the node is what the downward API says by convention, when nothing nearer says it', () => {
  expect(originOf({}, { NODE_NAME: 'n1' }, 'node')).toEqual({
    name: 'node',
    value: 'n1',
    origin: 'environment NODE_NAME',
  });
  expect(originOf({}, { NODE_NAME: 'n1', ISTHMUS_NODE: 'n2' }, 'node')).toMatchObject({ value: 'n2' });
  expect(originOf({ node: 'n3' }, { NODE_NAME: 'n1' }, 'node')).toMatchObject({ value: 'n3' });
});

test('the environment is before the default, and a flag before both', () => {
  const environment = { ISTHMUS_STATE_DIR: '/run/e', ISTHMUS_FLOW_ENTRIES: '64' };
  expect(resolveSettings({}, environment).settings).toMatchObject({ stateDir: '/run/e', flowEntries: 64 });
  expect(resolveSettings({ stateDir: '/run/f' }, environment).settings.stateDir).toBe('/run/f');
  expect(originOf({}, environment, 'stateDir')).toEqual({
    name: 'stateDir',
    value: '/run/e',
    origin: 'environment ISTHMUS_STATE_DIR',
  });
  expect(originOf({ stateDir: '/run/f' }, environment, 'stateDir')).toMatchObject({ value: '/run/f', origin: 'flag' });
});

test('an empty flag is a flag: no device means the one of the default route', () => {
  expect(resolveSettings({ device: '' }, { ISTHMUS_DEVICE: 'eth1' }).settings.device).toBe('');
});

test.each<[AgentFlags, string]>([
  [{ node: '' }, 'node is empty; leave it out to get its default'],
  [{ source: ' ' }, 'source is empty; leave it out to get its default'],
  [{ stateDir: '' }, 'state-dir is empty; leave it out to get its default'],
  [{ bpffs: '' }, 'bpffs is empty; leave it out to get its default'],
  [{ compile: 'sometimes' }, "compile 'sometimes' is none of auto, always, never"],
  [{ sockets: 'always' }, "sockets 'always' is none of auto, never"],
  [{ xdp: 'offload' }, "xdp 'offload' is none of auto, native, generic, never"],
  [{ bigTcp: 'always' }, "big-tcp 'always' is none of auto, never"],
  [{ gro: '' }, "gro '' is none of auto, never"],
  [{ attach: 'xdp' }, "attach 'xdp' is none of auto, tcx, clsact"],
  [{ logLevel: 'loud' }, "log-level 'loud' is none of trace, debug, info, warn, error, fatal"],
  [{ flowEntries: '1' }, "flow-entries '1' is not a number from 2 to 67108864"],
  [{ flowEntries: '67108865' }, "flow-entries '67108865' is not a number from 2 to 67108864"],
  [{ flowEntries: '1e3' }, "flow-entries '1e3' is not a number from 2 to 67108864"],
  [{ flowEntries: '' }, "flow-entries '' is not a number from 2 to 67108864"],
  [{ flowEntries: '-5' }, "flow-entries '-5' is not a number from 2 to 67108864"],
  [
    { healthzBindAddress: 'localhost:1' },
    "healthz-bind-address 'localhost:1' is not ADDRESS:PORT such as 0.0.0.0:10256 or [::1]:10256, nor 'off'",
  ],
  [
    { metricsBindAddress: '127.0.0.1:0' },
    "metrics-bind-address '127.0.0.1:0' is not ADDRESS:PORT such as 0.0.0.0:10256 or [::1]:10256, nor 'off'",
  ],
  [
    { metricsBindAddress: '1.2.3:80' },
    "metrics-bind-address '1.2.3:80' is not ADDRESS:PORT such as 0.0.0.0:10256 or [::1]:10256, nor 'off'",
  ],
])('%j is refused', (flags, message) => {
  expect(() => resolveSettings(flags, {})).toThrow(new SettingsError(message));
});

test.each([
  ['off', undefined],
  ['', undefined],
  ['0.0.0.0:80', { host: '', port: 80 }],
  ['[::]:80', { host: '', port: 80 }],
  [':80', { host: '', port: 80 }],
  ['192.0.2.1:65535', { host: '192.0.2.1', port: 65_535 }],
  ['[2001:db8::1]:80', { host: '2001:db8::1', port: 80 }],
])('%j listens at %j', (metricsBindAddress, address) => {
  expect(resolveSettings({ metricsBindAddress }, {}).settings.metricsBindAddress).toEqual(address);
});

test('a state directory whose socket would not fit into an address is refused; the longest that fits is not', () => {
  const longest = `/${'d'.repeat(107 - '//agent.sock'.length)}`;
  expect(resolveSettings({ stateDir: longest }, {}).settings.stateDir).toBe(longest);
  expect(() => resolveSettings({ stateDir: `${longest}d` }, {})).toThrow(/is longer than 96 bytes/);
  expect(() => resolveSettings({ stateDir: `/${'ü'.repeat(60)}` }, {})).toThrow(SettingsError);
});
