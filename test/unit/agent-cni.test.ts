// CNI requests as they come from outside: what is understood, and how the rest is refused.
import { expect, test } from 'vitest';
import { CNI_VERSIONS, CniError, type CniRequest, parseCniRequest } from '../../src/agent/cni.js';
import { answerVersion } from '../../src/agent/cni-error.js';
import { formatResult, hostInterfaceName, randomMac } from '../../src/agent/cni-result.js';
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

test('C1 C12: a request of a Kubernetes runtime is understood', () => {
  expect(parseCniRequest(request())).toEqual({
    command: 'ADD',
    cniVersion: '1.1.0',
    containerID: 'abc123',
    netns: '/run/netns/x',
    interfaceName: 'eth0',
    namespace: 'shop',
    pod: 'web-0',
    podUID: 'u1',
    network: 'isthmus',
    wishes: { addresses: [], hostPorts: [], dns: {} },
    chained: false,
  });
});

test('C11: whether bandwidth is declared with the plugin is known of an ADD, whatever else is declared', () => {
  const call = (capabilities: unknown, command = 'ADD') =>
    parseCniRequest(request({ command, config: JSON.stringify({ ...CONFIG, capabilities }) })).limitsBandwidth;
  expect(call({ bandwidth: true, ips: true })).toBe(true);
  expect(call({ bandwidth: true }, 'DEL')).toBeUndefined();
  for (const other of [undefined, null, {}, { ips: true }, { bandwidth: false }, ['bandwidth'], 'bandwidth']) {
    expect(call(other)).toBeUndefined();
  }
});

test('C12: without Kubernetes, the pod is called as its container', () => {
  expect(parseCniRequest(request({ args: '' }))).toMatchObject({ namespace: '', pod: 'abc123', podUID: '' });
  expect(parseCniRequest(request({ args: ';K8S_POD_NAME=a=b;' }))).toMatchObject({ pod: 'a=b' });
});

test('C12: keys that are not known need IgnoreUnknown; IP and MAC are wishes', () => {
  expect(refusal({ args: 'LABEL=x' })).toMatchObject({ code: 4, message: expect.stringContaining("'LABEL'") });
  expect(refusal({ args: 'IgnoreUnknown=0;LABEL=x' }).code).toBe(4);
  expect(refusal({ args: 'IgnoreUnknown=1;LABEL' })).toMatchObject({
    code: 4,
    message: expect.stringMatching(/KEY=VALUE/),
  });
  expect(parseCniRequest(request({ args: 'LABEL=x;IgnoreUnknown=true' })).pod).toBe('abc123');
  expect(parseCniRequest(request({ command: 'DEL', args: 'LABEL=x;y' })).command).toBe('DEL');
  const { wishes } = parseCniRequest(request({ args: 'IP=10.244.1.9/24,fd00:244::9;MAC=02-00-00-00-00-0A' }));
  expect(wishes).toMatchObject({ addresses: ['10.244.1.9', 'fd00:244::9'], mac: '02:00:00:00:00:0a' });
});

test.each(CNI_VERSIONS)('C2: version %s is understood', (cniVersion) => {
  expect(parseCniRequest(request({}, { cniVersion })).cniVersion).toBe(cniVersion);
});

test.each<[string, Partial<CniRequest>, object, number, RegExp]>([
  ['a command of the future', { command: 'RENAME' }, {}, 4, /CNI_COMMAND 'RENAME'/],
  ['a command in small letters', { command: 'add' }, {}, 4, /CNI_COMMAND 'add'/],
  ['nothing', { config: '' }, {}, 6, /not JSON/],
  ['half of JSON', { config: '{"cniVersion":"1.' }, {}, 6, /not JSON/],
  ['null', { config: 'null' }, {}, 7, /invalid/],
  ['no version', { config: '{"name":"x"}' }, {}, 1, /cniVersion is none of/],
  ['a version of the future', {}, { cniVersion: '2.0.0' }, 1, /0\.1\.0, 0\.2\.0, .*1\.0\.0, 1\.1\.0/],
  ['VERSION, which is the shim alone', { command: 'VERSION' }, {}, 4, /CNI_COMMAND 'VERSION'/],
  ['CHECK before it was there', { command: 'CHECK' }, { cniVersion: '0.3.1' }, 1, /has no CHECK.*0\.4\.0/],
  ['STATUS before it was there', { command: 'STATUS' }, { cniVersion: '1.0.0' }, 1, /has no STATUS.*1\.1\.0/],
  ['GC before it was there', { command: 'GC' }, { cniVersion: '1.0.0' }, 1, /has no GC.*1\.1\.0/],
  ['CHECK without a result', { command: 'CHECK' }, {}, 7, /CHECK without prevResult/],
  ['ADD first in the list, where that is said to be another', {}, { chained: true }, 7, /chained is true/],
  ['IPAM behind another plugin', {}, { prevResult: {}, ipam: { type: 'static' } }, 7, /ipam.type static behind/],
  ['a result that is none', {}, { prevResult: { ips: [{}] } }, 7, /prevResult is no result/],
  ['a network whose name is a path', {}, { name: '../x' }, 7, /invalid/],
  ['an IPAM plugin whose type is a path', {}, { ipam: { type: '../sh' } }, 7, /invalid/],
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
  ['GC with half of a list', { command: 'GC' }, { 'cni.dev/valid-attachments': [{ containerID: 'a' }] }, 7, /invalid/],
])('C3 C6 C9: %s is refused', (_name, changes, config, code, message) => {
  const error = refusal(changes, config);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
});

test('C5 C7 C8: DEL needs no namespace and no prevResult; GC and STATUS need no container', () => {
  expect(parseCniRequest(request({ command: 'DEL', netns: '' })).command).toBe('DEL');
  const status = request({ command: 'STATUS', containerID: '', interfaceName: '', netns: '' });
  expect(parseCniRequest(status).command).toBe('STATUS');
  const attachments = [{ containerID: 'a', ifname: 'eth0' }];
  const collect = request({ command: 'GC', containerID: '' }, { 'cni.dev/valid-attachments': attachments });
  expect(parseCniRequest(collect).attachments).toEqual(attachments);
  const none = request({ command: 'GC', containerID: '' }, { 'cni.dev/valid-attachments': null });
  expect(parseCniRequest(none).attachments).toEqual([]);
  expect(parseCniRequest(request({ command: 'GC', containerID: '' })).attachments).toBeUndefined();
});

test('C5: DEL looks at nothing that a pod was wished to have', () => {
  const config = {
    runtimeConfig: { portMappings: [{ hostPort: -1 }], mac: 'x', deviceID: 'y' },
    prevResult: { ips: [] },
  };
  expect(parseCniRequest(request({ command: 'DEL' }, config)).wishes).toEqual({
    addresses: [],
    hostPorts: [],
    dns: {},
  });
});

test('C6: CHECK knows the addresses of a result of any version', () => {
  const check = (prevResult: object) => parseCniRequest(request({ command: 'CHECK' }, { prevResult })).known;
  expect(check({ ips: [{ address: '10.1.0.1/32' }, { address: 'fd00::1/128' }] })).toEqual(['10.1.0.1', 'fd00::1']);
  expect(check({ ip4: { ip: '10.1.0.1/32' } })).toEqual(['10.1.0.1']);
  expect(check({ interfaces: [] })).toEqual([]);
});

test('C9: an answer has the version of the request, when there is such a one', () => {
  expect(answerVersion('{"cniVersion":"0.4.0"}')).toBe('0.4.0');
  for (const text of ['{"cniVersion":"9.0.0"}', '{', 'null', '[]']) expect(answerVersion(text)).toBe('1.1.0');
});

test('C11: runtimeConfig counts before args, and args before CNI_ARGS', () => {
  const args = 'IP=10.244.1.1;MAC=02:00:00:00:00:01';
  const cni = { ips: ['10.244.1.2/24'], mac: '02:00:00:00:00:02' };
  const runtimeConfig = { ips: ['10.244.1.3/24'], mac: '02:00:00:00:00:03' };
  const wish = (config: object) => {
    const { addresses, mac } = parseCniRequest(request({ args }, config)).wishes;
    return [...addresses, mac];
  };
  expect(wish({})).toEqual(['10.244.1.1', '02:00:00:00:00:01']);
  expect(wish({ args: { cni } })).toEqual(['10.244.1.2', '02:00:00:00:00:02']);
  expect(wish({ args: { cni }, runtimeConfig })).toEqual(['10.244.1.3', '02:00:00:00:00:03']);
});

test('C11: port mappings, bandwidth and dns as runtimes pass them', () => {
  const runtimeConfig = {
    portMappings: [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' },
      { hostPort: 53, containerPort: 5353, protocol: 'UDP', hostIP: '2001:DB8::1' },
      { hostPort: 99, containerPort: 99 },
    ],
    bandwidth: { ingressRate: 8_000_000, ingressBurst: 80_000, egressRate: 0, egressBurst: 0 },
    dns: { servers: ['10.96.0.10'], searches: ['svc.cluster.local'], options: ['ndots:5'] },
    aliases: ['web'],
    cgroupPath: '/kubepods',
    'io.kubernetes.cri.pod-annotations': {},
  };
  expect(parseCniRequest(request({}, { runtimeConfig, dns: { domain: 'x', nameservers: ['y'] } })).wishes).toEqual({
    addresses: [],
    hostPorts: [
      { hostPort: 8080, containerPort: 80, protocol: 'TCP', hostIP: '' },
      { hostPort: 53, containerPort: 5353, protocol: 'UDP', hostIP: '2001:db8::1' },
      { hostPort: 99, containerPort: 99, protocol: 'TCP', hostIP: '' },
    ],
    bandwidth: { ingress: { rate: 8_000_000, burst: 80_000 } },
    dns: { domain: 'x', nameservers: ['10.96.0.10'], search: ['svc.cluster.local'], options: ['ndots:5'] },
  });
});

test("C11: what containerd passes has the names of its own fields, which readers in Go take for the specification's", () => {
  const runtimeConfig = {
    portMappings: [{ HostPort: 9080, ContainerPort: 80, Protocol: 'udp', HostIP: '' }],
    bandwidth: { IngressRate: 8_000_000, IngressBurst: 80_000, EgressRate: 0, EgressBurst: 0 },
    dns: { Servers: ['10.96.0.10'], Searches: null, Options: null },
  };
  expect(parseCniRequest(request({}, { runtimeConfig })).wishes).toEqual({
    addresses: [],
    hostPorts: [{ hostPort: 9080, containerPort: 80, protocol: 'UDP', hostIP: '' }],
    bandwidth: { ingress: { rate: 8_000_000, burst: 80_000 } },
    dns: { nameservers: ['10.96.0.10'] },
  });
});

test.each<[string, object, number, RegExp]>([
  ['a host port of 0', { portMappings: [{ hostPort: 0, containerPort: 80 }] }, 7, /runtimeConfig/],
  ['a container port of 65536', { portMappings: [{ hostPort: 1, containerPort: 65536 }] }, 7, /runtimeConfig/],
  ['a protocol that is none', { portMappings: [{ hostPort: 1, containerPort: 1, protocol: 'icmp' }] }, 7, /runtimeCo/],
  ['a hostIP that is none', { portMappings: [{ hostPort: 1, containerPort: 1, hostIP: 'x' }] }, 7, /hostIP/],
  ['a rate without a burst', { bandwidth: { egressRate: 1000 } }, 7, /egressBurst is 0/],
  ['a negative rate', { bandwidth: { egressRate: -1 } }, 7, /runtimeConfig/],
  ['two addresses of one family', { ips: ['10.1.0.1', '10.1.0.2'] }, 7, /10\.1\.0\.1, 10\.1\.0\.2/],
  ['an address that is none', { ips: ['10.1.0'] }, 7, /requested address/],
  ['the MAC of a group', { mac: '01:00:5e:00:00:01' }, 7, /01:00:5e/],
  ['no MAC', { mac: 'zz' }, 7, /zz/],
  ['ipRanges', { ipRanges: [[{ subnet: '10.0.0.0/8' }]] }, 2, /ipRanges is not supported/],
  ['deviceID', { deviceID: '0000:00:1f.6' }, 2, /deviceID is not supported/],
])('C11: %s is refused', (_name, runtimeConfig, code, message) => {
  expect(refusal({}, { runtimeConfig })).toMatchObject({ code, message: expect.stringMatching(message) });
});

test('C13: who delegates IPAM leaves addresses and ranges to that plugin', () => {
  const config = { ipam: { type: 'host-local' }, runtimeConfig: { ips: ['10.1.0.9'], ipRanges: [[]] } };
  const call = parseCniRequest(request({ ipam: { status: 0, output: '{}' } }, config));
  expect(call).toMatchObject({ ipamType: 'host-local', ipam: { status: 0, output: '{}' }, wishes: { addresses: [] } });
  expect(parseCniRequest(request({}, { ipam: {} })).ipamType).toBeUndefined();
});

test.each(['ADD', 'CHECK', 'STATUS'])(
  'C13: dhcp is refused by %s, with the reason and what to take instead',
  (command) => {
    const error = refusal({ command }, { ipam: { type: 'dhcp' }, ...(command === 'CHECK' ? { prevResult: {} } : {}) });
    expect(error).toMatchObject({
      code: 7,
      message: 'ipam.type dhcp: no DHCP server can be on a link that has one pod and its node',
      details: 'nothing was changed; leave ipam out, or take host-local or static',
    });
  },
);

test.each(['DEL', 'GC'])('C5 C7 C13: %s after a refused ADD succeeds, and asks no dhcp daemon', (command) => {
  const call = parseCniRequest(request({ command }, { ipam: { type: 'dhcp' } }));
  expect(call.command).toBe(command);
  expect(call.ipamType).toBeUndefined();
});

test('C10: behind another plugin, its result is passed on, and what only that one can give is not asked of us', () => {
  const prevResult = { cniVersion: '1.1.0', ips: [{ address: '10.1.0.1/24', interface: 0 }], vendor: { x: 1 } };
  const runtimeConfig = {
    ips: ['no address'],
    mac: 'no MAC',
    ipRanges: [[{ subnet: '10.0.0.0/8' }]],
    portMappings: [{ hostPort: 80, containerPort: 8080 }],
    bandwidth: { ingressRate: 8, ingressBurst: 8 },
  };
  const call = parseCniRequest(request({}, { prevResult, runtimeConfig, args: { cni: { ips: ['x'], mac: 'y' } } }));
  expect(call.previous).toEqual(prevResult);
  expect(call.wishes).toEqual({
    addresses: [],
    hostPorts: [{ hostPort: 80, containerPort: 8080, protocol: 'TCP', hostIP: '' }],
    bandwidth: { ingress: { rate: 8, burst: 8 } },
    dns: {},
  });
});

test('C5 C8 C10: STATUS hears from the configuration that another plugin gives addresses; DEL looks at no result', () => {
  const status = request({ command: 'STATUS', containerID: '', interfaceName: '', netns: '' }, { chained: true });
  expect(parseCniRequest(status).chained).toBe(true);
  const call = parseCniRequest(request({ command: 'DEL' }, { chained: true, prevResult: 'gone bad' }));
  expect([call.previous, call.known]).toEqual([undefined, undefined]);
  expect(parseCniRequest(request({}, { prevResult: null })).previous).toBeUndefined();
});

test.each(['0.1.0', '0.2.0'] as const)('C2: the result of version %s has one address of each family', (cniVersion) => {
  expect(formatResult(ENDPOINT, cniVersion, { nameservers: ['10.96.0.10'] })).toEqual({
    cniVersion,
    ip4: {
      ip: '10.244.1.5/32',
      gateway: '169.254.1.1',
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }],
    },
    ip6: { ip: 'fd00:244::5/128', gateway: 'fe80::1', routes: [{ dst: '::/0', gw: 'fe80::1' }] },
    dns: { nameservers: ['10.96.0.10'] },
  });
});

const MODERN = CNI_VERSIONS.filter((version) => !['0.1.0', '0.2.0'].includes(version));

test.each(MODERN)('C2 C4: the result of version %s has what that version asks for', (cniVersion) => {
  const result = formatResult(ENDPOINT, cniVersion) as { ips: object[] };
  const version = (family: string) => (cniVersion.startsWith('0.') ? { version: family } : {});
  const mtu = cniVersion === '1.1.0' ? { mtu: 1500 } : {};
  expect(result).toEqual({
    cniVersion,
    interfaces: [
      { name: 'ist0', mac: '02:69:73:74:00:01', ...mtu },
      { name: 'eth0', mac: '02:00:00:00:00:01', ...mtu, sandbox: '/run/netns/x' },
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
