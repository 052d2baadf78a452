// Behind another CNI plugin: its result of any version, and the veth that it made.
import { expect, test } from 'vitest';
import { findChained } from '../../src/agent/chained.js';
import { addressesAt, addressesIn, CniResult, nodeInterfaces } from '../../src/agent/cni-addresses.js';
import { CniError } from '../../src/agent/cni-error.js';
import { checkInside } from '../../src/agent/delegation.js';
import type { Wiring } from '../../src/agent/wiring.js';
import type { LinkInfo } from '../../src/net/native.js';

/** As `bridge` prints it. */
const BRIDGE = {
  cniVersion: '1.0.0',
  interfaces: [
    { name: 'cni0', mac: '02:00:00:00:00:01' },
    { name: 'veth1', mac: '02:00:00:00:00:02' },
    { name: 'eth0', mac: '02:00:00:00:00:03', sandbox: '/run/netns/x' },
  ],
  ips: [
    { interface: 2, address: '10.244.1.5/24', gateway: '10.244.1.1' },
    { interface: 2, address: 'FD00:244:1:0::5/64' },
  ],
  routes: [{ dst: '0.0.0.0/0' }],
};

const link = (changes: Partial<LinkInfo>): LinkInfo => ({
  ...{ ifindex: 1, name: 'lo', kind: 'veth', mac: '02:00:00:00:00:03', mtu: 1450, up: true, peer: 0 },
  ...changes,
});

const POD_END = link({ ifindex: 2, name: 'eth0', peer: 9 });
const NODE_END = link({ ifindex: 9, name: 'veth1', peer: 2, mac: '02:00:00:00:00:02' });

/** A pod's namespace with its link and its addresses, and the node's links. */
function worldOf(
  pod: LinkInfo | undefined,
  node: readonly LinkInfo[],
  addresses = ['10.244.1.5/24', 'fd00:244:1::5/64'],
) {
  const netlink = {
    link: (name: string) => (pod?.name === name ? pod : undefined),
    addresses: () => addresses.map((address) => ({ ifindex: 2, address, scope: 'global' })),
    close: () => undefined,
  };
  const found = (which: number) => node.find(({ ifindex }) => ifindex === which);
  return { net: { openNetlink: () => netlink }, node: { link: found } } as unknown as Wiring;
}

const WHOLE = worldOf(POD_END, [NODE_END]);
const find = (wiring: Wiring, result: object = BRIDGE) =>
  findChained(wiring, { netns: '/run/netns/x', interfaceName: 'eth0', previous: CniResult.parse(result) });

function refusal(wiring: Wiring, result: object = BRIDGE): string {
  try {
    find(wiring, result);
  } catch (error) {
    if (error instanceof CniError && error.code === 7) return `${error.message}; ${error.details}`;
    throw error;
  }
  throw new Error('it was found');
}

test('C10: the veth of another plugin is found by its result, whatever bridge it is a port of', () => {
  expect(find(WHOLE)).toEqual({
    addresses: ['10.244.1.5', 'fd00:244:1::5'],
    mac: '02:00:00:00:00:03',
    mtu: 1450,
    hostInterface: 'veth1',
    chained: true,
  });
});

test('C2 C10: a result that is older than interfaces is enough', () => {
  const old = { ip4: { ip: '10.244.1.5/24' }, ip6: { ip: 'fd00:244:1::5/64' }, dns: {} };
  expect(find(WHOLE, old)).toMatchObject({ addresses: ['10.244.1.5', 'fd00:244:1::5'], hostInterface: 'veth1' });
});

test.each<[string, Wiring, object, RegExp]>([
  ['no interface', worldOf(undefined, [NODE_END]), BRIDGE, /no interface eth0; nothing was changed/],
  ['an address that is not there', worldOf(POD_END, [NODE_END], []), BRIDGE, /names 10\.244\.1\.5, which eth0/],
  ['no address', WHOLE, { ...BRIDGE, ips: [] }, /names no address of eth0/],
  [
    "another interface's address",
    WHOLE,
    { ...BRIDGE, ips: [{ interface: 0, address: '10.1.0.1/24' }] },
    /no address of/,
  ],
  ['a device without another end', worldOf({ ...POD_END, kind: 'macvlan', peer: 0 }, []), BRIDGE, /a macvlan without/],
  ['an end that is elsewhere', worldOf(POD_END, []), BRIDGE, /a veth without an end .* bridge and ptp/],
  ['a device of the same index', worldOf(POD_END, [{ ...NODE_END, peer: 3 }]), BRIDGE, /without an end/],
  ['an end that nobody names', worldOf(POD_END, [{ ...NODE_END, name: 'veth2' }]), BRIDGE, /that the result names/],
])('C9 C10: %s is refused', (_name, wiring, result, words) => {
  expect(refusal(wiring, result)).toMatch(words);
});

test('C10: addresses that no other node looks for here are refused', () => {
  const node = { name: 'n1', addresses: [], podCIDRs: ['10.244.1.0/24'] };
  const check =
    (...addresses: string[]) =>
    () =>
      checkInside(addresses, node as never, 'the plugin before');
  expect(check('10.244.1.9')).not.toThrow();
  expect(check('10.244.1.9', '10.88.0.2')).toThrow(
    expect.objectContaining({
      code: 7,
      message: expect.stringMatching(/before: its address 10\.88\.0\.2 lies outside/),
    }),
  );
});

test('C2 C6 C13: the addresses of a result of any version, as we write addresses', () => {
  expect(addressesIn(CniResult.parse(BRIDGE))).toEqual(['10.244.1.5', 'fd00:244:1::5']);
  expect(addressesIn({ ip4: { ip: '10.1.0.1/32' }, ip6: null })).toEqual(['10.1.0.1']);
  expect(addressesIn({ ips: null, interfaces: [] })).toEqual([]);
  expect(() => addressesIn({ ips: [{ address: '10.1.0/24' }] })).toThrow(/address '10\.1\.0\/24' of a CNI result/);
});

test('C10: the addresses of one interface, and those of nobody', () => {
  const ips = [
    { address: '10.1.0.1/24', interface: 0 },
    { address: '10.1.0.2/24', interface: 1 },
    { address: '10.1.0.3/24' },
    { address: '10.1.0.4/24', interface: 2 },
  ];
  const interfaces = [{ name: 'eth0' }, { name: 'eth0', sandbox: '/x' }, { name: 'net1', sandbox: '/x' }];
  expect(addressesAt({ ips, interfaces }, 'eth0')).toEqual(['10.1.0.2', '10.1.0.3']);
  expect(nodeInterfaces({ interfaces: [...interfaces, { name: 'cni0', sandbox: '' }] })).toEqual(['eth0', 'cni0']);
  expect(nodeInterfaces({})).toBeUndefined();
});
