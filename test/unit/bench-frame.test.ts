// Frames that the benchmark sends are what a stack would accept.
import { expect, test } from 'vitest';
import { buildFrame } from '../../src/bench/frame.js';

const BASE = {
  sourceMac: '02:00:00:00:00:01',
  destinationMac: '02:00:00:00:00:02',
  source: { address: '10.244.1.2', port: 40000 },
  destination: { address: '198.18.5.2', port: 9 },
};

/** RFC 1071: over bytes that hold their own checksum the sum is all ones. */
function sum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += bytes.readUInt16BE(at);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

test.each(['udp', 'ack', 'syn'] as const)('a frame with %s has right lengths and checksums', (kind) => {
  const frame = buildFrame({ ...BASE, kind });
  const ip = frame.subarray(14, 34);
  const transport = frame.subarray(34);
  expect(frame).toHaveLength(60);
  expect(ip.readUInt16BE(2)).toBe(46);
  expect(sum(ip)).toBe(0xffff);
  const pseudo = Buffer.concat([ip.subarray(12), Buffer.from([0, ip.readUInt8(9), 0, transport.length])]);
  expect(sum(Buffer.concat([pseudo, transport]))).toBe(0xffff);
  expect([transport.readUInt16BE(0), transport.readUInt16BE(2)]).toEqual([40000, 9]);
});

test.each(['ack', 'syn'] as const)('a frame of IPv6 with %s has right lengths and a right checksum', (kind) => {
  const source = { address: 'fd00:10:244:1::2', port: 40000 };
  const destination = { address: '2001:db8:b2::2', port: 8080 };
  const frame = buildFrame({ ...BASE, source, destination, kind });
  expect([frame.length, frame.readUInt16BE(12), frame.readUInt16BE(18)]).toEqual([74, 0x86dd, 20]);
  const pseudo = Buffer.concat([frame.subarray(22, 54), Buffer.from([0, 0, 0, 20, 0, 0, 0, 6])]);
  expect(sum(Buffer.concat([pseudo, frame.subarray(54)]))).toBe(0xffff);
});

test('an ACK and a SYN differ in their flags alone', () => {
  const flags = (kind: 'ack' | 'syn') => buildFrame({ ...BASE, kind }).readUInt8(34 + 13);
  expect([flags('ack'), flags('syn')]).toEqual([0x10, 0x02]);
});
