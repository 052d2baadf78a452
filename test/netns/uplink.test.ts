// Finding the uplink and the namespaces themselves, in a namespace of this test.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadNativeNet, type Netlink } from '../../src/net/native.js';
import { listNamespaces, namespaceCookie, namespacePath, withNetlink } from '../../src/net/netns.js';
import { findUplink, UplinkError } from '../../src/net/uplink.js';

const NAME = `ist-up-${process.pid}`;
const net = loadNativeNet();
let netlink: Netlink;

function ip(...args: string[]): void {
  execFileSync('ip', ['-n', NAME, ...args]);
}

beforeAll(() => {
  execFileSync('ip', ['netns', 'add', NAME]);
  netlink = net.openNetlink(namespacePath(NAME));
  for (const index of [0, 1]) {
    ip('link', 'add', `up${index}`, 'type', 'veth', 'peer', 'name', `far${index}`);
    ip('link', 'set', `up${index}`, 'up');
    ip('link', 'set', `far${index}`, 'up');
    ip('addr', 'add', `192.0.${index}.1/24`, 'dev', `up${index}`);
    ip('addr', 'add', `2001:db8:${index}::1/64`, 'dev', `up${index}`, 'nodad');
  }
});

afterAll(() => {
  netlink?.close();
  execFileSync('sh', ['-c', `ip netns del ${NAME} 2>/dev/null || true`]);
});

test('without a default route it fails and names the devices', () => {
  expect(() => findUplink(netlink)).toThrow(UplinkError);
  expect(() => findUplink(netlink)).toThrow(/no default route; devices: lo, .*up0/);
});

test('an IPv6 default route is enough, an IPv4 one comes first, and the lower metric wins', () => {
  ip('-6', 'route', 'add', 'default', 'via', '2001:db8:0::9');
  expect(findUplink(netlink).name).toBe('up0');
  ip('route', 'add', 'default', 'via', '192.0.1.9', 'metric', '100');
  expect(findUplink(netlink).name).toBe('up1');
  ip('route', 'add', 'default', 'via', '192.0.0.9', 'metric', '50');
  expect(findUplink(netlink).name).toBe('up0');
});

test('a name is taken as it is', () => {
  expect(findUplink(netlink, 'up1')).toMatchObject({ name: 'up1', kind: 'veth' });
  expect(() => findUplink(netlink, 'eth9')).toThrow(/no device 'eth9'/);
});

test('a namespace is listed, has a cookie, and is none any more when it is gone', () => {
  const name = `${NAME}-gone`;
  const path = namespacePath(name);
  expect(namespaceCookie(net, path)).toBeUndefined();
  execFileSync('ip', ['netns', 'add', name]);
  try {
    expect(listNamespaces()).toContain(name);
    expect(namespaceCookie(net, path)).toBe(withNetlink(net, path, (one) => one.cookie));
    expect(namespaceCookie(net, path)).not.toBe(netlink.cookie);
  } finally {
    execFileSync('ip', ['netns', 'del', name]);
  }
  expect(listNamespaces()).not.toContain(name);
  expect(namespaceCookie(net, path)).toBeUndefined();
});
