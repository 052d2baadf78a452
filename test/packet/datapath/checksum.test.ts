// Checksums by differences against sums over whole packets: ours, scapy's, and the kernel's own over the buffer.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Packet } from '../../support/packet.js';
import { describeDatapath } from '../../support/packet-case.js';
import { parseFrame, parseTransport } from '../../support/packet-text.js';
import { FAMILIES, from, into, PORTS } from '../../support/world.js';

/** Debian's scapy belongs to Debian's Python. */
const PYTHON = ['/usr/bin/python3', 'python3'].find((each) => spawnSync(each, ['-c', 'import scapy']).status === 0);
/** Builds each frame again from its fields, without its checksums and lengths, and prints it. */
const SCAPY = `
import sys
from scapy.all import Ether, IP, IPv6, TCP, UDP, ICMP, ICMPv6EchoRequest, ICMPv6EchoReply
for line in sys.stdin:
    frame = Ether(bytes.fromhex(line))
    for layer, names in ((IP, ('chksum', 'len')), (IPv6, ('plen',)), (TCP, ('chksum',)), (UDP, ('chksum', 'len')),
                         (ICMP, ('chksum',)), (ICMPv6EchoRequest, ('cksum',)), (ICMPv6EchoReply, ('cksum',))):
        if layer in frame:
            for name in names:
                frame[layer].delfieldval(name)
    print(bytes(frame).hex())
`;

interface Given {
  readonly kind: 'tcp' | 'udp' | 'echo';
  readonly source: number;
  readonly destination: number;
  readonly payload: Uint8Array;
}

const given = fc.record<Given>({
  kind: fc.constantFrom('tcp', 'udp', 'echo'),
  source: fc.nat(0xffff),
  destination: fc.nat(0xffff),
  payload: fc.uint8Array({ maxLength: 300 }),
});

function packet(ip: Packet, { kind, source, destination, payload }: Given, reply = false): Packet {
  if (kind === 'echo') return ip.echo({ id: reply ? destination : source, sequence: 1, reply }).payload(payload);
  const ports = { source, destination };
  return (kind === 'tcp' ? ip.tcp({ ...ports, flags: reply ? 'SA' : 'S' }) : ip.udp(ports)).payload(payload);
}

const setups = {
  'fast checksums': { config: { fast_checksum: 1 } },
  'checksums by helpers': { config: { fast_checksum: 0 } },
};

describeDatapath({ name: 'checksum', file: import.meta.filename, setups }, (get) => {
  for (const [family, w] of FAMILIES) {
    it(`${family}: whatever is sent, the translated packet and its answer are exactly what they should be`, () => {
      fc.assert(
        fc.property(given, (one) => {
          get().reset();
          const port = PORTS.a + (one.source % 256);
          const sent = get().run('a', packet(from('a').ip({ source: w.a, destination: w.remote }), one));
          const wanted = packet(from('a').ip({ source: w.node, destination: w.remote, ttl: 63 }), {
            ...one,
            source: port,
          });
          expect(sent.bytes.toString('hex')).toBe(wanted.bytes().toString('hex'));
          const answer = { ...one, source: one.destination, destination: port };
          const got = get().run(
            'uplink',
            packet(from('uplink').ip({ source: w.remote, destination: w.node }), answer, true),
          );
          const arrives = { ...answer, destination: one.source };
          const back = packet(into('a').ip({ source: w.remote, destination: w.a, ttl: 63 }), arrives, true);
          expect(got.bytes.toString('hex')).toBe(back.bytes().toString('hex'));
        }),
        { numRuns: 300 },
      );
    });
  }

  it('the oracle finds every single wrong bit', () => {
    const bytes = packet(from('a').ip({ source: FAMILIES[0][1].a, destination: FAMILIES[0][1].remote }), {
      kind: 'tcp',
      source: 1,
      destination: 2,
      payload: Buffer.from('odd'),
    }).bytes();
    for (let bit = (14 + 20) * 8; bit < bytes.length * 8; bit++) {
      const broken = Buffer.from(bytes);
      broken[bit >> 3] = broken.readUInt8(bit >> 3) ^ (1 << (bit & 7));
      const network = parseFrame(broken);
      const transport = network === undefined ? undefined : parseTransport(network, broken.subarray(14));
      expect([bit, transport?.checksum]).toEqual([bit, 'wrong']);
    }
  });

  it.skipIf(PYTHON === undefined)('scapy finds the same checksums in a sample', () => {
    const frames = FAMILIES.flatMap(([, w]) =>
      fc.sample(given, { numRuns: 60, seed: 7 }).map((one) => {
        get().reset();
        return get()
          .run('a', packet(from('a').ip({ source: w.a, destination: w.remote }), one))
          .bytes.toString('hex');
      }),
    );
    const { stdout, stderr, status } = spawnSync(PYTHON ?? '', ['-c', SCAPY], {
      input: frames.join('\n'),
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(frames);
  });
});
