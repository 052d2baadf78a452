// What is taken for a packet at all: truncated, contradicting, optional and fragmented headers.
import { expect, it } from 'vitest';
import type { DropName } from '../../support/datapath.js';
import { eth, type Packet } from '../../support/packet.js';
import { describeDatapath, type PacketCase, testCases } from '../../support/packet-case.js';
import { printFrame } from '../../support/packet-text.js';
import { FAMILIES, from, MAC, PORTS, V4, V6 } from '../../support/world.js';

const TCP = { source: 40_000, destination: 443 };
const PORT = PORTS.a + (TCP.source % 256);
const TRANSPORTS: readonly [string, number, (packet: Packet) => Packet][] = [
  ['TCP', 20, (packet) => packet.tcp(TCP)],
  ['UDP', 8, (packet) => packet.udp(TCP)],
  ['ICMP echo', 8, (packet) => packet.echo({ id: 77 })],
];

describeDatapath({ name: 'packet', file: import.meta.filename }, (get) => {
  for (const [family, { a, remote, far }] of FAMILIES) {
    const header = family === 'IPv4' ? 20 : 40;
    for (const [name, transportBytes, transport] of TRANSPORTS) {
      it.each(['translated', 'flat'])(`${family} ${name}, %s: cut at every length, it is truncated`, (way) => {
        const whole = transport(from('a').ip({ source: a, destination: way === 'flat' ? far : remote })).bytes();
        // The kernel's test run refuses a frame without a whole IP header.
        for (let length = 14 + header; length < 14 + header + transportBytes; length++) {
          expectDrop(whole.subarray(0, length), 'DROP_TRUNCATED');
        }
      });

      it(`${family} ${name}: cut with a length that agrees, it is truncated until its header is whole`, () => {
        const whole = transport(from('a').ip({ source: a, destination: remote })).bytes();
        for (let bytes = header; bytes < header + transportBytes; bytes++) {
          expectDrop(withLength(whole.subarray(0, 14 + bytes), bytes), 'DROP_TRUNCATED');
        }
      });

      it(`${family} ${name}: headers behind the end of the IP packet are none`, () => {
        const whole = transport(from('a').ip({ source: a, destination: remote })).bytes();
        // An IPv6 payload length of 0 is a jumbogram's.
        for (let bytes = header + 1; bytes < header + transportBytes; bytes++) {
          expectDrop(withLength(whole, bytes), 'DROP_TRUNCATED');
        }
      });
    }
  }

  function expectDrop(frame: Buffer, reason: DropName): void {
    get().reset();
    const { verdict, bytes } = get().run('a', frame);
    expect([verdict, get().drops(), ...printFrame(bytes)]).toEqual(['drop', { [reason]: 1 }, ...printFrame(frame)]);
  }

  const v4 = { source: V4.a, destination: V4.remote };
  const v6 = { source: V6.a, destination: V6.remote };
  const out4 = { source: V4.node, destination: V4.remote, ttl: 63 };
  const out6 = { source: V6.node, destination: V6.remote, hopLimit: 63 };
  const malformed = { from: 'a', verdict: 'drop', drops: { DROP_MALFORMED: 1 } } as const;
  const passes = { from: 'a', verdict: 'redirect', flows: null } as const;
  const tcpOut = { ...TCP, source: PORT };

  testCases(get, [
    {
      name: 'IPv4 version 6',
      ...malformed,
      in: from('a')
        .ipv4({ ...v4, version: 6 })
        .tcp(TCP),
    },
    {
      name: 'IPv4 header length 4',
      ...malformed,
      in: from('a')
        .ipv4({ ...v4, ihl: 4 })
        .tcp(TCP),
    },
    {
      name: 'IPv4 total length below the header',
      ...malformed,
      in: from('a')
        .ipv4({ ...v4, length: 19 })
        .tcp(TCP),
    },
    {
      name: 'IPv4 options beyond the total length',
      ...malformed,
      in: from('a')
        .ipv4({ ...v4, ihl: 15, length: 40 })
        .tcp(TCP),
    },
    {
      name: 'IPv4 header checksum',
      ...malformed,
      in: from('a')
        .ipv4({ ...v4, checksum: 0x1234 })
        .tcp(TCP),
    },
    {
      name: 'IPv6 version 4',
      ...malformed,
      in: from('a')
        .ipv6({ ...v6, version: 4 })
        .tcp(TCP),
    },
    {
      name: 'TCP header length 4',
      ...malformed,
      in: from('a')
        .ipv4(v4)
        .tcp({ ...TCP, dataOffset: 4 }),
    },
    {
      name: 'an IPv6 source that is an IPv4 address is nobody',
      ...malformed,
      in: from('a')
        .ipv6({ ...v6, source: `::ffff:${V4.a}` })
        .tcp(TCP),
    },
    {
      name: 'an IPv6 destination that is an IPv4 address is nobody',
      ...malformed,
      in: from('a')
        .ipv6({ ...v6, destination: `::ffff:${V4.b}` })
        .tcp(TCP),
    },
    {
      name: 'IPv6 does not reach an IPv4 pod from the wire',
      ...malformed,
      from: 'uplink',
      in: from('uplink')
        .ipv6({ source: V6.remote, destination: `::ffff:${V4.a}` })
        .tcp(TCP),
    },
    {
      name: 'IPv4 with ICMPv6 inside is nobody',
      ...malformed,
      in: from('a')
        .ipv4({ ...v4, protocol: 58 })
        .icmp4({ type: 135 })
        .payload(24),
    },
    {
      name: 'IPv6 with ICMP inside is nobody',
      ...malformed,
      in: from('a')
        .ipv6({ ...v6, next: 1 })
        .icmp6({ type: 128 })
        .payload(24),
    },
    {
      name: 'a total length beyond the frame',
      from: 'a',
      in: from('a')
        .ipv4({ ...v4, length: 41 })
        .tcp(TCP),
      verdict: 'drop',
      drops: { DROP_TRUNCATED: 1 },
    },
    {
      name: 'an ethertype of nobody, from a pod',
      from: 'a',
      in: eth({ type: 0x88cc }).payload(46),
      verdict: 'drop',
      drops: { DROP_UNSUPPORTED_ETHERTYPE: 1 },
    },
    {
      name: 'an ethertype of nobody, from the wire',
      from: 'uplink',
      in: eth({ type: 0x88cc }).payload(46),
      verdict: 'next',
    },
    { name: 'ARP from the wire', from: 'uplink', in: eth({ type: 0x0806 }).payload(46), verdict: 'next' },
    {
      name: 'a frame to another machine on the wire',
      from: 'uplink',
      in: eth({ source: MAC.router, destination: '02:00:00:00:00:77' })
        .ip({ source: V4.remote, destination: V4.a })
        .tcp(TCP),
      verdict: 'next',
    },
    {
      name: 'Ethernet padding stays',
      ...passes,
      in: padded(from('a').ipv4(v4).tcp(TCP)),
      out: padded(from('a').ipv4(out4).tcp(tcpOut)),
    },
    {
      name: 'IPv4 options stay',
      ...passes,
      in: from('a')
        .ipv4({ ...v4, options: Buffer.from('01010100', 'hex') })
        .tcp(TCP),
      out: from('a')
        .ipv4({ ...out4, options: Buffer.from('01010100', 'hex') })
        .tcp(tcpOut),
    },
    {
      name: 'a full set of IPv4 options stays',
      ...passes,
      in: from('a')
        .ipv4({ ...v4, options: Buffer.alloc(40, 1) })
        .tcp(TCP),
      out: from('a')
        .ipv4({ ...out4, options: Buffer.alloc(40, 1) })
        .tcp(tcpOut),
    },
    ...[1, 2, 4].map((count): PacketCase => {
      const extended = (packet: Packet) =>
        Array.from({ length: count }).reduce<Packet>((one) => one.extension(60, 16), packet);
      return {
        name: `D9: ${count} IPv6 extension headers stay`,
        ...passes,
        in: extended(from('a').ipv6(v6)).tcp(TCP),
        out: extended(from('a').ipv6(out6)).tcp(tcpOut),
      };
    }),
    {
      name: 'D9: hop-by-hop, routing and destination options stay',
      ...passes,
      in: from('a').ipv6(v6).extension(0).extension(43).extension(60, 24).udp(TCP).payload('x'),
      out: from('a').ipv6(out6).extension(0).extension(43).extension(60, 24).udp(tcpOut).payload('x'),
    },
    {
      name: 'D9: a fragment header that fragments nothing stays',
      ...passes,
      in: from('a').ipv6(v6).fragment6({}).tcp(TCP),
      out: from('a').ipv6(out6).fragment6({}).tcp(tcpOut),
    },
    {
      name: 'D9: UDP without a checksum, which IPv6 does not allow, gets none: its receiver drops it',
      ...passes,
      in: from('a')
        .ipv6(v6)
        .udp({ ...TCP, checksum: 0 }),
      out: from('a')
        .ipv6(out6)
        .udp({ ...tcpOut, checksum: 0 }),
    },
    {
      name: 'D9: IPv6 extension headers of more than 200 bytes',
      from: 'a',
      in: from('a').ipv6(v6).extension(0, 208).tcp(TCP),
      verdict: 'drop',
      drops: { DROP_IP_OPTIONS: 1 },
    },
    {
      name: 'D9: five IPv6 extension headers',
      from: 'a',
      in: from('a').ipv6(v6).extension(0).extension(60).extension(60).extension(60).extension(60).tcp(TCP),
      verdict: 'drop',
      drops: { DROP_UNSUPPORTED_PROTOCOL: 1 },
    },
    {
      name: 'D9: an IPv6 extension header beyond the frame',
      from: 'a',
      in: from('a')
        .ipv6(v6)
        .extension(60, 16)
        .tcp(TCP)
        .bytes()
        .subarray(0, 14 + 40 + 4),
      verdict: 'drop',
      drops: { DROP_TRUNCATED: 1 },
    },
    {
      name: 'IPv4 as long as the buffer (BIG TCP)',
      ...passes,
      in: from('a')
        .ipv4({ ...v4, length: 0 })
        .tcp(TCP),
      out: from('a')
        .ipv4({ ...out4, length: 0 })
        .tcp(tcpOut),
    },
    {
      name: 'IPv6 as long as the buffer (BIG TCP)',
      ...passes,
      in: from('a')
        .ipv6({ ...v6, length: 0 })
        .tcp(TCP),
      out: from('a')
        .ipv6({ ...out6, length: 0 })
        .tcp(tcpOut),
    },
  ]);
});

function padded(packet: Packet): Buffer {
  return Buffer.concat([packet.bytes(), Buffer.from('not IP')]);
}

/** The same frame with another length in its IP header. */
function withLength(frame: Buffer, ipBytes: number): Buffer {
  const ipv4 = frame.readUInt8(14) >> 4 === 4;
  const copy = Buffer.from(frame);
  if (!ipv4) {
    copy.writeUInt16BE(ipBytes - 40, 18);
    return copy;
  }
  const [source, destination] = [copy.subarray(26, 30).join('.'), copy.subarray(30, 34).join('.')];
  const header = eth()
    .ipv4({ source, destination, length: ipBytes, protocol: copy.readUInt8(23) })
    .bytes();
  header.copy(copy, 14, 14, 34);
  return copy;
}
