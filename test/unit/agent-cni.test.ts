// CNI requests as they come from outside: what is understood, and how the rest is refused.
import { expect, test } from 'vitest';
import {
  CNI_VERSIONS,
  CniError,
  type CniRequest,
  formatResult,
  hostInterfaceName,
  parseCniRequest,
  randomMac,
} from '../../src/agent/cni.js';
import type { Endpoint } from '../../src/model/endpoint.js';

const CONFIG = { cniVersion: '1.1.0', name: 'isthmus', type: 'isthmus-cni' };

function request(changes: Partial<CniRequest> = {}, config: object = {}): CniRequest {
  return {
    command: 'ADD',
    containerID: 'abc123',
    netns: '/run/netns/x',
    interfaceName: 'eth0',
    args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u1',
    config: JSON.stringify({ ...CONFIG, ...config }),
    ...changes,
  };
}

function refusal(changes: Partial<CniRequest>, config: object = {}): CniError {
  try {
    parseCniRequest(request(changes, config));
  } catch (error) {
    if (error instanceof CniError) return error;
    throw error;
  }
  throw new Error('it was understood');
}

test('a request of kubelet is understood', () => {
  expect(parseCniRequest(request())).toEqual({
    command: 'ADD',
    cniVersion: '1.1.0',
    containerID: 'abc123',
    netns: '/run/netns/x',
    interfaceName: 'eth0',
    namespace: 'shop',
    pod: 'web-0',
    podUID: 'u1',
    attachments: [],
  });
});

test('without Kubernetes, the pod is called as its container', () => {
  expect(parseCniRequest(request({ args: '' }))).toMatchObject({ namespace: '', pod: 'abc123', podUID: '' });
  expect(parseCniRequest(request({ args: ';=;K8S_POD_NAME=a=b;x' }))).toMatchObject({ pod: 'a=b' });
});

test.each(CNI_VERSIONS)('version %s is understood', (cniVersion) => {
  expect(parseCniRequest(request({}, { cniVersion })).cniVersion).toBe(cniVersion);
});

test.each<[string, Partial<CniRequest>, object, number, RegExp]>([
  ['a command of the future', { command: 'RENAME' }, {}, 4, /CNI_COMMAND 'RENAME'/],
  ['a command in small letters', { command: 'add' }, {}, 4, /CNI_COMMAND 'add'/],
  ['nothing', { config: '' }, {}, 6, /not JSON/],
  ['half of JSON', { config: '{"cniVersion":"1.' }, {}, 6, /not JSON/],
  ['null', { config: 'null' }, {}, 7, /invalid/],
  ['no version', { config: '{"name":"x"}' }, {}, 1, /cniVersion is none of/],
  ['a version of the past', {}, { cniVersion: '0.2.0' }, 1, /0\.3\.0, 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/],
  ['a version that is a number', {}, { cniVersion: 1 }, 1, /cniVersion/],
  ['a network without a name', {}, { name: '' }, 7, /invalid/],
  ['an empty container id', { containerID: '' }, {}, 4, /CNI_CONTAINERID ''/],
  ['a container id that is a path', { containerID: '../x' }, {}, 4, /CNI_CONTAINERID/],
  ['a container id with a slash', { containerID: 'a/b' }, {}, 4, /CNI_CONTAINERID/],
  ['a container id with a line end', { containerID: 'a\nb' }, {}, 4, /CNI_CONTAINERID/],
  ['a container id of 201 letters', { containerID: 'a'.repeat(201) }, {}, 4, /CNI_CONTAINERID/],
  ['an empty interface name', { interfaceName: '' }, {}, 4, /CNI_IFNAME ''/],
  ['an interface name with a slash', { interfaceName: 'a/b' }, {}, 4, /CNI_IFNAME/],
  ['an interface name with a colon', { interfaceName: 'eth0:1' }, {}, 4, /CNI_IFNAME/],
  ['an interface name with a blank', { interfaceName: 'eth 0' }, {}, 4, /CNI_IFNAME/],
  ['the directory itself as interface name', { interfaceName: '..' }, {}, 4, /CNI_IFNAME/],
  ['an interface name of 16 letters', { interfaceName: 'a'.repeat(16) }, {}, 4, /CNI_IFNAME/],
  ['ADD without a namespace', { netns: '' }, {}, 4, /CNI_NETNS is empty/],
  ['CHECK without a namespace', { command: 'CHECK', netns: '' }, {}, 4, /CNI_NETNS is empty/],
  ['GC without a list', { command: 'GC' }, {}, 7, /cni\.dev\/valid-attachments/],
  ['GC with half of a list', { command: 'GC' }, { 'cni.dev/valid-attachments': [{ containerID: 'a' }] }, 7, /invalid/],
])('%s is refused', (_name, changes, config, code, message) => {
  const error = refusal(changes, config);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test('DEL needs no namespace; GC, STATUS and VERSION need no container', () => {
  expect(parseCniRequest(request({ command: 'DEL', netns: '' })).command).toBe('DEL');
  for (const command of ['STATUS', 'VERSION']) {
    expect(parseCniRequest(request({ command, containerID: '', interfaceName: '', netns: '' })).command).toBe(command);
  }
  const attachments = [{ containerID: 'a', ifname: 'eth0' }];
  const collect = request({ command: 'GC', containerID: '' }, { 'cni.dev/valid-attachments': attachments });
  expect(parseCniRequest(collect).attachments).toEqual(attachments);
});

test.each(CNI_VERSIONS)('the result of version %s has what that version asks for', (cniVersion) => {
  const result = formatResult(ENDPOINT, cniVersion) as { ips: object[] };
  const version = (family: string) => (cniVersion.startsWith('0.') ? { version: family } : {});
  expect(result).toEqual({
    cniVersion,
    interfaces: [
      { name: 'ist0', mac: '02:69:73:74:00:01' },
      { name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/x' },
    ],
    ips: [
      { ...version('4'), interface: 1, address: '10.244.1.5/32', gateway: '169.254.1.1' },
      { ...version('6'), interface: 1, address: 'fd00:244::5/128', gateway: 'fe80::1' },
    ],
    routes: [
      { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      { dst: '::/0', gw: 'fe80::1' },
    ],
    dns: {},
  });
});

test('a host interface has the same valid name for the same attachment, and another for each other one', () => {
  expect(hostInterfaceName('abc', 'eth0')).toBe(hostInterfaceName('abc', 'eth0'));
  const names = ['abc', 'abd', 'x'.repeat(200)].flatMap((id) =>
    ['eth0', 'net1'].map((name) => hostInterfaceName(id, name)),
  );
  expect(new Set(names).size).toBe(6);
  expect(names.every((name) => /^ist[0-9a-f]{10}$/.test(name))).toBe(true);
});

test('a MAC is unicast and locally administered', () => {
  const macs = Array.from({ length: 100 }, randomMac);
  expect(macs.every((mac) => /^[0-9a-f](2|6|a|e)(:[0-9a-f]{2}){5}$/.test(mac))).toBe(true);
  expect(new Set(macs).size).toBe(100);
});

const ENDPOINT: Endpoint = {
  containerID: 'abc',
  interfaceName: 'eth0',
  netns: '/run/netns/x',
  namespace: 'shop',
  pod: 'web-0',
  podUID: 'u1',
  addresses: ['10.244.1.5', 'fd00:244::5'],
  mac: '02:00:00:00:00:01',
  hostInterface: 'ist0',
  ifindex: 7,
  mtu: 1500,
  nat: [{ address: '192.0.2.11', blocks: [1] }],
  created: '2026-01-01T00:00:00Z',
};
