// The reserved ports of the host: NAT ports are added to what is there, and nothing is ever taken away.
import { expect, test } from 'vitest';
import { reserveNatPorts } from '../../src/agent/host-ports.js';
import type { Netlink } from '../../src/net/native.js';

const NAME = 'net.ipv4.ip_local_reserved_ports';

/** The value after the call, and how often it was written. */
function reserve(before: string): { after: string; writes: number } {
  let [after, writes] = [before, 0];
  const node: Pick<Netlink, 'readSysctl' | 'writeSysctl'> = {
    readSysctl: (name) => (name === NAME ? after : ''),
    writeSysctl: (name, value) => {
      if (name === NAME) [after, writes] = [value, writes + 1];
    },
  };
  reserveNatPorts(node as Netlink, { first: 36864, last: 65535 });
  return { after, writes };
}

test.each([
  ['nothing', '', '36864-65535', 1],
  ['nothing, as the kernel prints it', '\n', '36864-65535', 1],
  ['others', '8080,9090-9095', '8080,9090-9095,36864-65535', 1],
  ['a part', '40000-41000', '40000-41000,36864-65535', 1],
  ['all of it', '36864-65535', '36864-65535', 0],
  ['more than it', '8080,30000-65535\n', '8080,30000-65535\n', 0],
  ['one port of it', '36864', '36864,36864-65535', 1],
])('%s reserved before', (_name, before, after, writes) => {
  expect(reserve(before)).toEqual({ after, writes });
});
