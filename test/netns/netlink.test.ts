// The network addon against what `ip` says of the same namespaces.
//
//   [ ist-nl-PID-a ] veth0 ---------- eth0 [ ist-nl-PID-b ]
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type LinkInfo, loadNativeNet, type Netlink, type VethOptions } from '../../src/net/native.js';

const A = `ist-nl-${process.pid}-a`;
const B = `ist-nl-${process.pid}-b`;
const MAC_A = '02:69:73:74:00:01';
const MAC_B = '02:69:73:74:00:02';
const net = loadNativeNet();
let a: Netlink;
let b: Netlink;

/** Without the sanitizer that this process may have been started with: `ip` is not ours to check. */
function runIp(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: '' } });
}

function ip(namespace: string, ...args: string[]): string {
  return runIp('-n', namespace, ...args);
}

/** The rows of `ip -j -d`, of both families unless an address among the arguments has one. */
function rows(namespace: string, ...args: string[]): Record<string, unknown>[] {
  const one = (family: string) => {
    const text = runIp(family, '-j', '-d', '-n', namespace, ...args);
    return text.trim() === '' ? [] : (JSON.parse(text) as Record<string, unknown>[]);
  };
  if (args.some((arg) => arg.includes(':'))) return one('-6');
  return args[0] === 'link' || args.some((arg) => arg.includes('.')) ? one('-4') : [...one('-4'), ...one('-6')];
}

function vethOptions(changes: Partial<VethOptions> = {}): VethOptions {
  const ends = { name: 'veth0', mac: MAC_A, peerName: 'eth0', peerMac: MAC_B };
  return { ...ends, mtu: 1400, peerNamespace: b, ...changes };
}

/** Both ends, up. */
function addPair(): { host: LinkInfo; pod: LinkInfo } {
  const host = a.addVeth(vethOptions());
  const pod = b.link('eth0');
  if (pod === undefined) throw new Error('the peer is not in its namespace');
  a.setUp(host.ifindex);
  b.setUp(pod.ifindex);
  return { host, pod };
}

function ownNamespace(): string {
  return readlinkSync('/proc/thread-self/ns/net');
}

function errorOf(call: () => unknown): { code?: string; errno?: number; operation?: string; message?: string } {
  try {
    call();
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error('the call was expected to throw');
}

beforeAll(() => {
  for (const name of [A, B]) {
    runIp('netns', 'add', name);
    ip(name, 'link', 'set', 'lo', 'up');
  }
  a = net.openNetlink(`/run/netns/${A}`);
  b = net.openNetlink(`/run/netns/${B}`);
});

afterAll(() => {
  a?.close();
  b?.close();
  for (const name of [A, B]) execFileSync('sh', ['-c', `ip netns del ${name} 2>/dev/null || true`]);
});

afterEach(() => {
  const link = a.link('veth0');
  if (link !== undefined) a.deleteLink(link.ifindex);
});

describe('links', () => {
  test('a list is what ip shows', () => {
    addPair();
    ip(A, 'link', 'add', 'above0', 'link', 'veth0', 'type', 'macvlan');
    const expected = rows(A, 'link', 'show').map((row) => ({
      ifindex: row.ifindex,
      name: row.ifname,
      kind: (row.linkinfo as { info_kind?: string } | undefined)?.info_kind ?? '',
      mac: row.address,
      mtu: row.mtu,
      up: (row.flags as string[]).includes('UP'),
    }));
    expect(a.links().map(({ peer, ...link }) => link)).toEqual(expected);
    expect(a.link('above0')?.peer).toBe(0);
  });

  test('a veth pair has each end in its own namespace and its index as peer', () => {
    const before = ownNamespace();
    const { host, pod } = addPair();
    expect(host).toMatchObject({ name: 'veth0', kind: 'veth', mac: MAC_A, mtu: 1400, up: false, peer: pod.ifindex });
    expect(pod).toMatchObject({ name: 'eth0', kind: 'veth', mac: MAC_B, mtu: 1400, up: false, peer: host.ifindex });
    expect(a.link('eth0')).toBeUndefined();
    expect(a.link(host.ifindex)).toMatchObject({ up: true });
    expect(ownNamespace()).toBe(before);
  });

  test('setting a link up and its MTU changes nothing else', () => {
    const host = a.addVeth(vethOptions());
    const before = new Set(rows(A, 'link', 'show', 'veth0')[0]?.flags as string[]);
    a.setUp(host.ifindex);
    a.setMtu(host.ifindex, 1300);
    const [row] = rows(A, 'link', 'show', 'veth0');
    expect(row).toMatchObject({ mtu: 1300, address: MAC_A });
    expect(row?.flags).toEqual(expect.arrayContaining([...before, 'UP'].filter((flag) => flag !== 'NO-CARRIER')));
    expect(a.link('veth0')).toMatchObject({ mtu: 1300, up: true });
  });

  test('packet sizes are what ip shows, and what is set, each by itself', () => {
    const { host } = addPair();
    const before = a.packetSizes(host.ifindex);
    const shown = () => rows(A, 'link', 'show', 'veth0')[0];
    expect(shown()).toMatchObject({ gso_max_size: before?.gso, gro_max_size: before?.gro, tso_max_size: before?.tso });
    a.setPacketSizes(host.ifindex, { gso: 100_000 });
    expect(a.packetSizes(host.ifindex)).toEqual({ ...before, gso: 100_000 });
    a.setPacketSizes(host.ifindex, { gro: 110_000, gsoIpv4: 120_000, groIpv4: 130_000 });
    const after = { ...before, gso: 100_000, gro: 110_000, gsoIpv4: 120_000, groIpv4: 130_000 };
    expect(a.packetSizes(host.ifindex)).toEqual(after);
    expect(shown()).toMatchObject({ gso_max_size: 100_000, gro_max_size: 110_000, mtu: 1400, operstate: 'UP' });
  });

  test('a packet size above what the device allows is refused with the reason of the kernel', () => {
    const { host } = addPair();
    const before = a.packetSizes(host.ifindex);
    const error = errorOf(() => a.setPacketSizes(host.ifindex, { gso: (before?.tso ?? 0) + 1 }));
    expect(error).toMatchObject({ code: 'EINVAL', operation: 'set packet sizes of' });
    expect(a.packetSizes(host.ifindex)).toEqual(before);
  });

  test('GRO is what ethtool shows, before and after', () => {
    const { host } = addPair();
    const shown = () =>
      execFileSync('nsenter', [`--net=/run/netns/${A}`, 'ethtool', '-k', 'veth0'], {
        encoding: 'utf8',
        env: { ...process.env, LD_PRELOAD: '' },
      }).match(/^generic-receive-offload: (\w+)/m)?.[1];
    for (const on of [true, false]) {
      a.setReceiveOffload(host.ifindex, on);
      expect([a.receiveOffload(host.ifindex), shown()]).toEqual([on, on ? 'on' : 'off']);
    }
  });

  test('a link that is not there has no sizes, and setting anything of it is ENODEV', () => {
    expect(a.packetSizes(9999)).toBeUndefined();
    expect(errorOf(() => a.setPacketSizes(9999, { gso: 65_536 })).code).toBe('ENODEV');
    expect(errorOf(() => a.receiveOffload(9999)).code).toBe('ENODEV');
    expect(errorOf(() => a.setReceiveOffload(9999, true)).code).toBe('ENODEV');
  });

  test('deleting one end deletes both; a second time it is not there', () => {
    const { host } = addPair();
    expect(a.deleteLink(host.ifindex)).toBe(true);
    expect(a.deleteLink(host.ifindex)).toBe(false);
    expect(b.link('eth0')).toBeUndefined();
  });

  test('a name that is taken is EEXIST and leaves the pair as it was', () => {
    const { host, pod } = addPair();
    const error = errorOf(() => a.addVeth(vethOptions({ peerName: 'eth1' })));
    expect(error).toMatchObject({ code: 'EEXIST', errno: 17, operation: 'add veth' });
    expect(error.message).toContain('veth0');
    expect(a.link('veth0')?.ifindex).toBe(host.ifindex);
    expect(b.links().map((link) => link.ifindex)).toContain(pod.ifindex);
    expect(b.link('eth1')).toBeUndefined();
  });

  test('a name that is too long or a MAC that is none is EINVAL', () => {
    expect(errorOf(() => a.addVeth(vethOptions({ name: 'a'.repeat(16) }))).code).toBe('EINVAL');
    expect(errorOf(() => a.addVeth(vethOptions({ mac: '02:69' })))).toMatchObject({ code: 'EINVAL' });
    expect(a.link('a'.repeat(16))).toBeUndefined();
    expect(a.link(0)).toBeUndefined();
  });

  test('a peer namespace that is no Netlink is a TypeError', () => {
    const wrong = { ...vethOptions(), peerNamespace: {} as Netlink };
    expect(() => a.addVeth(wrong)).toThrow(TypeError);
  });

  test('many pairs come and go, and no descriptor stays open', () => {
    const highest = () => {
      const fd = openSync('/dev/null', 'r');
      closeSync(fd);
      return fd;
    };
    const before = highest();
    for (let round = 0; round < 50; round++) {
      const other = net.openNetlink(`/run/netns/${B}`);
      const host = a.addVeth(vethOptions({ peerNamespace: other }));
      a.deleteLink(host.ifindex);
      other.close();
    }
    expect(highest()).toBe(before);
  });
});

describe('addresses', () => {
  test('both families are added, listed with prefix and scope, and deleted', () => {
    const { pod } = addPair();
    b.addAddress(pod.ifindex, '10.244.1.7/32');
    b.addAddress(pod.ifindex, '10.244.2.7/24');
    b.addAddress(pod.ifindex, 'fd00:10:244::7/128');
    b.addAddress(pod.ifindex, 'fd00:10:244::7/128');
    const info = (row: { local: string; prefixlen: number; scope: string }) => ({
      ifindex: pod.ifindex,
      address: `${row.local}/${row.prefixlen}`,
      scope: row.scope,
    });
    const all = rows(B, 'addr', 'show', 'dev', 'eth0').flatMap((row) => (row.addr_info as never[]).map(info));
    expect(b.addresses(pod.ifindex)).toEqual(expect.arrayContaining(all));
    expect(b.addresses(pod.ifindex)).toHaveLength(4);
    expect(b.addresses(pod.ifindex)).toContainEqual(
      expect.objectContaining({ address: '10.244.1.7/32', scope: 'global' }),
    );
    expect(b.deleteAddress(pod.ifindex, '10.244.1.7/32')).toBe(true);
    expect(b.deleteAddress(pod.ifindex, '10.244.1.7/32')).toBe(false);
    expect(b.deleteAddress(pod.ifindex, 'fd00:10:244::7/128')).toBe(true);
    expect(b.deleteAddress(pod.ifindex, 'fd00:10:244::7/128')).toBe(false);
  });

  test('an IPv6 address is usable at once', () => {
    const { pod } = addPair();
    b.addAddress(pod.ifindex, 'fd00:10:244::8/128');
    const shown = ip(B, 'addr', 'show', 'dev', 'eth0', 'to', 'fd00:10:244::8');
    expect(shown).toContain('fd00:10:244::8/128');
    expect(shown).not.toContain('tentative');
  });

  test('scopes of loopback are host', () => {
    const lo = b.link('lo')?.ifindex ?? 0;
    expect(b.addresses(lo)).toEqual([
      { ifindex: lo, address: '127.0.0.1/8', scope: 'host' },
      { ifindex: lo, address: '::1/128', scope: 'host' },
    ]);
  });

  test('text that is no address is EINVAL, a link that is not there ENODEV', () => {
    expect(errorOf(() => b.addAddress(1, '10.0.0.256/24'))).toMatchObject({ code: 'EINVAL' });
    expect(errorOf(() => b.addAddress(9999, '10.0.0.1/24'))).toMatchObject({
      code: 'ENODEV',
      operation: 'add address',
    });
  });
});

describe('routes', () => {
  test('a pod gets default routes of both families through gateways on the link', () => {
    const { pod } = addPair();
    const { ifindex } = pod;
    b.addAddress(ifindex, '10.244.1.7/32');
    b.addAddress(ifindex, 'fd00:10:244::7/128');
    b.replaceRoute({ destination: '0.0.0.0/0', gateway: '169.254.1.1', ifindex, onlink: true, mtu: 1350 });
    b.replaceRoute({ destination: '::/0', gateway: 'fe80::1', ifindex, onlink: true, mtu: 1350 });
    expect(rows(B, 'route', 'show', 'default')).toEqual([
      expect.objectContaining({ dst: 'default', gateway: '169.254.1.1', dev: 'eth0', protocol: 'static' }),
      expect.objectContaining({ dst: 'default', gateway: 'fe80::1', dev: 'eth0', protocol: 'static' }),
    ]);
    expect(ip(B, 'route', 'show', 'default')).toMatch(/onlink.*mtu 1350/);
    const defaults = b.routes().filter((route) => route.destination.endsWith('/0'));
    const common = { ifindex, onlink: true, mtu: 1350, scope: 'global' };
    expect(defaults).toEqual([
      { destination: '0.0.0.0/0', gateway: '169.254.1.1', ...common },
      { destination: '::/0', gateway: 'fe80::1', ...common },
    ]);
  });

  test('a replaced route is one route, with the new values', () => {
    const { pod } = addPair();
    const { ifindex } = pod;
    b.addAddress(ifindex, '192.0.2.1/24');
    b.addAddress(ifindex, '2001:db8::1/64');
    for (const mtu of [1300, 1320]) {
      b.replaceRoute({ destination: '198.51.100.0/24', gateway: '192.0.2.254', ifindex, mtu });
      b.replaceRoute({ destination: '2001:db8:1::/48', gateway: '2001:db8::254', ifindex, mtu });
    }
    const found = b.routes().filter((route) => route.gateway !== undefined);
    expect(found.map(({ destination, mtu }) => `${destination} ${mtu}`)).toEqual([
      '198.51.100.0/24 1320',
      '2001:db8:1::/48 1320',
    ]);
  });

  test('a route on the link has link scope, a preferred source, and goes away once', () => {
    const { host } = addPair();
    const { ifindex } = host;
    a.addAddress(ifindex, '192.0.2.1/32');
    const route = { destination: '10.244.1.7/32', ifindex, scope: 'link', source: '192.0.2.1' } as const;
    a.replaceRoute(route);
    a.replaceRoute({ destination: 'fd00:10:244::7/128', ifindex });
    expect(rows(A, 'route', 'show', '10.244.1.7')).toEqual([
      expect.objectContaining({ dst: '10.244.1.7', dev: 'veth0', scope: 'link', prefsrc: '192.0.2.1' }),
    ]);
    expect(a.routes()).toContainEqual(route);
    expect(a.deleteRoute(route)).toBe(true);
    expect(a.deleteRoute(route)).toBe(false);
    expect(a.deleteRoute({ destination: 'fd00:10:244::7/128', ifindex })).toBe(true);
    expect(a.deleteRoute({ destination: 'fd00:10:244::7/128', ifindex })).toBe(false);
  });

  test('every unicast route of the main table is listed, also those that others made', () => {
    const { host } = addPair();
    a.addAddress(host.ifindex, '192.0.2.1/24');
    ip(A, 'route', 'add', '203.0.113.0/24', 'via', '192.0.2.9', 'proto', 'bird');
    ip(A, 'route', 'add', 'blackhole', '203.0.113.9/32');
    const shown = rows(A, 'route', 'show', 'type', 'unicast').map((row) => String(row.dst));
    const listed = a.routes().map((route) => route.destination.replace(/\/(32|128)$/, ''));
    expect(listed.sort()).toEqual(shown.sort());
    ip(A, 'route', 'del', 'blackhole', '203.0.113.9/32');
  });

  test('a gateway that is not reachable is refused with the reason of the kernel', () => {
    const { pod } = addPair();
    const error = errorOf(() =>
      b.replaceRoute({ destination: '198.51.100.0/24', gateway: '203.0.113.1', ifindex: pod.ifindex }),
    );
    expect(error).toMatchObject({ code: 'ENETUNREACH', operation: 'replace route' });
    expect(error.message).toContain('Nexthop has invalid gateway');
    expect(error.message).toContain('198.51.100.0/24 via 203.0.113.1');
  });
});

describe('neighbours', () => {
  test('a permanent neighbour is replaced and deleted, in both families', () => {
    const { host } = addPair();
    for (const address of ['10.244.1.7', 'fd00:10:244::7']) {
      a.replaceNeighbour({ ifindex: host.ifindex, address, mac: MAC_A });
      a.replaceNeighbour({ ifindex: host.ifindex, address, mac: MAC_B });
      expect(rows(A, 'neigh', 'show', 'to', address)).toEqual([
        expect.objectContaining({ dst: address, lladdr: MAC_B, state: ['PERMANENT'] }),
      ]);
      expect(a.deleteNeighbour({ ifindex: host.ifindex, address, mac: MAC_B })).toBe(true);
      expect(a.deleteNeighbour({ ifindex: host.ifindex, address, mac: MAC_B })).toBe(false);
    }
  });
});

describe('the namespace', () => {
  test('cookies tell namespaces apart and are stable', () => {
    const again = net.openNetlink(`/run/netns/${A}`);
    expect(again.cookie).toBe(a.cookie);
    expect(b.cookie).not.toBe(a.cookie);
    expect(typeof a.cookie).toBe('bigint');
    again.close();
  });

  test('without a path it is the own namespace', () => {
    const own = net.openNetlink();
    expect(own.links().map((link) => link.name)).toEqual(
      (JSON.parse(runIp('-j', 'link')) as { ifname: string }[]).map((row) => row.ifname),
    );
    expect([a.cookie, b.cookie]).not.toContain(own.cookie);
    own.close();
  });

  test('a sysctl is written there and nowhere else', () => {
    const own = net.openNetlink();
    const before = own.readSysctl('net.ipv4.ip_local_reserved_ports');
    a.writeSysctl('net.ipv4.ip_local_reserved_ports', '36864-40000');
    expect(a.readSysctl('net/ipv4/ip_local_reserved_ports')).toBe('36864-40000');
    expect(b.readSysctl('net.ipv4.ip_local_reserved_ports')).toBe('');
    expect(own.readSysctl('net.ipv4.ip_local_reserved_ports')).toBe(before);
    a.writeSysctl('net.ipv4.ip_local_reserved_ports', '');
    own.close();
  });

  test('a sysctl that is not there, not of the network, or refuses its value says so', () => {
    expect(errorOf(() => a.readSysctl('net.ipv4.no_such'))).toMatchObject({ code: 'ENOENT' });
    expect(errorOf(() => a.readSysctl('kernel.hostname'))).toMatchObject({ code: 'EINVAL' });
    expect(errorOf(() => a.readSysctl('net/../kernel/hostname'))).toMatchObject({ code: 'EINVAL' });
    expect(errorOf(() => a.writeSysctl('net.ipv4.ip_forward', 'maybe'))).toMatchObject({ code: 'EINVAL' });
  });

  test('a path that is not there or no namespace is refused, and the thread stays at home', () => {
    const before = ownNamespace();
    const missing = errorOf(() => net.openNetlink('/run/netns/ist-no-such'));
    expect(missing).toMatchObject({ code: 'ENOENT', operation: 'open network namespace' });
    expect(missing.message).toContain('/run/netns/ist-no-such');
    expect(errorOf(() => net.openNetlink('/dev/null'))).toMatchObject({ code: 'EINVAL' });
    expect(ownNamespace()).toBe(before);
  });

  test('a closed handle refuses everything and closes twice', () => {
    const gone = net.openNetlink(`/run/netns/${A}`);
    gone.close();
    gone.close();
    expect(errorOf(() => gone.links())).toMatchObject({ code: 'EBADF' });
    expect(errorOf(() => gone.readSysctl('net.ipv4.ip_forward'))).toMatchObject({ code: 'EBADF' });
    expect(errorOf(() => a.addVeth(vethOptions({ peerNamespace: gone })))).toMatchObject({ code: 'EBADF' });
  });
});
