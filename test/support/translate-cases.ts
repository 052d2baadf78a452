// The table of translation in island mode: what leaves, what comes back, and the entries that remember it.
import { egressPair } from './flow-text.js';
import type { Packet } from './packet.js';
import type { PacketCase } from './packet-case.js';
import { type Addresses, FAMILIES, from, into, PORTS } from './world.js';

const TCP = { source: 40_000, destination: 443 };
/** Of pod a: its port modulo the block. */
const PORT = PORTS.a + (TCP.source % 256);

export const TRANSLATE_CASES: readonly PacketCase[] = FAMILIES.flatMap(([family, w]) => [
  ...egress(family, w),
  ...replies(family, w),
  ...udpChecksums(family, w),
]);

function egress(family: string, w: Addresses): PacketCase[] {
  const inside = { source: w.a, destination: w.remote };
  const outside = { source: w.node, destination: w.remote, ttl: 63 };
  const echo = family === 'IPv4' ? 'icmp' : 'icmp6';
  const leaves = { from: 'a', verdict: 'redirect' } as const;
  return [
    {
      name: `${family}: TCP leaves from the node, by a port of the pod's block`,
      ...leaves,
      in: from('a')
        .ip(inside)
        .tcp({ ...TCP, options: Buffer.from('020405b401030307', 'hex') }),
      out: from('a')
        .ip(outside)
        .tcp({ source: PORT, destination: 443, options: Buffer.from('020405b401030307', 'hex') }),
      flows: egressPair(w, { protocol: 'tcp', port: 40_000, translated: PORT }),
    },
    {
      name: `${family}: UDP does, too`,
      ...leaves,
      in: from('a').ip(inside).udp(TCP).payload('odd'),
      out: from('a').ip(outside).udp({ source: PORT, destination: 443 }).payload('odd'),
      flows: egressPair(w, { protocol: 'udp', port: 40_000, translated: PORT }),
    },
    {
      name: `${family}: an echo request does, by its identifier`,
      ...leaves,
      in: from('a').ip(inside).echo({ id: 7, sequence: 3 }).payload(56),
      out: from('a')
        .ip(outside)
        .echo({ id: PORTS.a + 7, sequence: 3 })
        .payload(56),
      flows: egressPair(w, {
        protocol: echo,
        port: 7,
        remote: { address: w.remote, port: 0 },
        translated: PORTS.a + 7,
      }),
    },
    {
      name: `${family}: a wrong checksum stays wrong by as much`,
      ...leaves,
      in: wrong(from('a').ip(inside).tcp(TCP).payload('x')),
      out: wrong(
        from('a')
          .ip(outside)
          .tcp({ ...TCP, source: PORT })
          .payload('x'),
      ),
      flows: null,
    },
    {
      name: `${family}: a port of the block stays what it is`,
      ...leaves,
      in: from('a')
        .ip(inside)
        .tcp({ ...TCP, source: PORTS.a + 9 }),
      out: from('a')
        .ip(outside)
        .tcp({ ...TCP, source: PORTS.a + 9 }),
      flows: null,
    },
  ];
}

function replies(family: string, w: Addresses): PacketCase[] {
  const inside = { source: w.a, destination: w.remote };
  const wire = { source: w.remote, destination: w.node };
  const pod = { source: w.remote, destination: w.a, ttl: 63 };
  const echo = family === 'IPv4' ? 'icmp' : 'icmp6';
  const comes = { from: 'uplink', verdict: 'redirect' } as const;
  const state = 'seen_reply';
  return [
    {
      name: `${family}: the answer of TCP reaches the pod`,
      ...comes,
      given: (datapath) => datapath.run('a', from('a').ip(inside).tcp(TCP)),
      in: from('uplink').ip(wire).tcp({ source: 443, destination: PORT, flags: 'SA', ack: 1001 }),
      out: into('a').ip(pod).tcp({ source: 443, destination: 40_000, flags: 'SA', ack: 1001 }),
      flows: egressPair(w, { protocol: 'tcp', port: 40_000, translated: PORT, state }),
    },
    {
      name: `${family}: the answer of UDP does`,
      ...comes,
      given: (datapath) => datapath.run('a', from('a').ip(inside).udp(TCP)),
      in: from('uplink').ip(wire).udp({ source: 443, destination: PORT }).payload('answer!'),
      out: into('a').ip(pod).udp({ source: 443, destination: 40_000 }).payload('answer!'),
      flows: egressPair(w, { protocol: 'udp', port: 40_000, translated: PORT, state }),
    },
    {
      name: `${family}: an echo reply does`,
      ...comes,
      given: (datapath) => datapath.run('a', from('a').ip(inside).echo({ id: 7 })),
      in: from('uplink')
        .ip(wire)
        .echo({ id: PORTS.a + 7, reply: true })
        .payload('pong'),
      out: into('a').ip(pod).echo({ id: 7, reply: true }).payload('pong'),
      flows: egressPair(w, {
        protocol: echo,
        port: 7,
        remote: { address: w.remote, port: 0 },
        translated: PORTS.a + 7,
        state,
      }),
    },
  ];
}

function udpChecksums(family: string, w: Addresses): PacketCase[] {
  const inside = { source: w.a, destination: w.remote };
  const outside = { source: w.node, destination: w.remote, ttl: 63 };
  const udp = { source: PORT, destination: 443 };
  // The word that makes the sum of the translated packet zero.
  const plain = from('a').ip(outside).udp(udp).payload(Buffer.alloc(2)).bytes();
  const word = plain.subarray(plain.length - 4, plain.length - 2);
  return [
    {
      name: `${family}: UDP without a checksum stays without`,
      from: 'a',
      verdict: 'redirect',
      in: from('a')
        .ip(inside)
        .udp({ ...TCP, checksum: 0 })
        .payload('x'),
      out: from('a')
        .ip(outside)
        .udp({ ...udp, checksum: 0 })
        .payload('x'),
      flows: null,
    },
    {
      name: `${family}: a UDP checksum that becomes 0 is sent as 0xffff`,
      from: 'a',
      verdict: 'redirect',
      in: from('a').ip(inside).udp(TCP).payload(word),
      out: from('a')
        .ip(outside)
        .udp({ ...udp, checksum: 0xffff })
        .payload(word),
      flows: null,
    },
  ];
}

/** The same frame with its TCP checksum off by a few. */
function wrong(packet: Packet): Buffer {
  const bytes = packet.bytes();
  const at = 14 + (bytes.readUInt16BE(12) === 0x0800 ? 20 : 40) + 16;
  const sum = bytes.readUInt16BE(at) + 0x0101;
  bytes.writeUInt16BE((sum & 0xffff) + (sum >> 16), at);
  return bytes;
}
