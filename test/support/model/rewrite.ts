// A packet on its way through a translator: one hop less, other addresses and ports, and checksums that account for it.
import { sctpChecksum } from '../crc.js';
import { ETHERNET_BYTES, PROTOCOL } from '../packet-layer.js';
import { SCTP } from '../sctp-layer.js';
import { updateChecksum } from './sum.js';
import type { Tuple } from './tuple.js';
import { isLater, Refused, type View } from './view.js';

/** The frame as it leaves, with one hop less and the tuple `to`. */
export function forwarded(frame: Buffer, view: View, to: Tuple): Buffer {
  const out = Buffer.from(frame);
  const ip = out.subarray(ETHERNET_BYTES);
  takeHop(ip, view.six);
  if (to === view.tuple) return out;
  const before = Buffer.from(ip.subarray(0, 40));
  setAddresses(ip, view.six, to);
  if (view.tuple.protocol === SCTP) {
    setSctpPorts(ip.subarray(view.transport, view.bytes.length), view, to);
  } else if (!isLater(view)) {
    const transport = ip.subarray(view.transport, view.bytes.length);
    setPorts({ transport, protocol: view.tuple.protocol, request: view.icmpKind === 'request' }, to, [
      addressesOf(before, view.six),
      addressesOf(ip, view.six),
    ]);
  }
  return out;
}

/** The checksum covers no address, but all of the packet: it is found anew, as wrong as it was. */
function setSctpPorts(packet: Buffer, { tuple, fragment }: View, to: Tuple): void {
  if (tuple.sourcePort === to.sourcePort && tuple.destinationPort === to.destinationPort) return;
  if (fragment !== undefined) throw new Refused('DROP_UNSUPPORTED_PROTOCOL');
  const wrong = packet.readUInt32LE(8) ^ sctpChecksum(packet);
  packet.writeUInt16BE(to.sourcePort, 0);
  packet.writeUInt16BE(to.destinationPort, 2);
  if (packet.readUInt32LE(8) !== 0) packet.writeUInt32LE((sctpChecksum(packet) ^ wrong) >>> 0, 8);
}

/** One hop less, nothing else. */
export function takeHop(ip: Buffer, six: boolean): void {
  if (six) {
    ip.writeUInt8(ip.readUInt8(7) - 1, 7);
    return;
  }
  change(ip, 10, [8, 10], () => ip.writeUInt8(ip.readUInt8(8) - 1, 8));
}

/** The addresses, and the checksum of an IPv4 header. */
export function setAddresses(ip: Buffer, six: boolean, to: Pick<Tuple, 'source' | 'destination'>): void {
  if (six) {
    ip.write(to.source + to.destination, 8, 'hex');
    return;
  }
  change(ip, 10, [12, 20], () => ip.write(to.source.slice(24) + to.destination.slice(24), 12, 'hex'));
}

export function addressesOf(ip: Buffer, six: boolean): Buffer {
  return Buffer.from(ip.subarray(six ? 8 : 12, six ? 40 : 20));
}

export interface TransportPart {
  /** A transport header, or as much of it as is there: at least 8 bytes. */
  readonly transport: Buffer;
  readonly protocol: number;
  /** Whether an ICMP echo is a request: the identifier is its sender's port. */
  readonly request: boolean;
}

/** The ports and the checksum, which covers them and, but for ICMPv4, the addresses too. */
export function setPorts(
  { transport, protocol, request }: TransportPart,
  to: Tuple,
  [was, is]: [Buffer, Buffer],
): void {
  const field = checksumField(protocol);
  const before = Buffer.from(transport.subarray(0, 8));
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmp6) {
    transport.writeUInt16BE(request ? to.sourcePort : to.destinationPort, 4);
  } else {
    transport.writeUInt16BE(to.sourcePort, 0);
    transport.writeUInt16BE(to.destinationPort, 2);
  }
  if (protocol === SCTP || transport.length < field + 2) return;
  const checksum = transport.readUInt16BE(field);
  if (protocol === PROTOCOL.udp && checksum === 0) return;
  // The checksum itself is left out of what it covers.
  const after = Buffer.from(transport.subarray(0, 8));
  if (field < 8) before.copy(after, field, field, field + 2);
  const pseudo = protocol === PROTOCOL.icmp ? [] : [was, is];
  const [old = Buffer.alloc(0), now = Buffer.alloc(0)] = pseudo;
  const sum = updateChecksum(checksum, Buffer.concat([old, before]), Buffer.concat([now, after]));
  // 0 would say "no checksum" (RFC 768).
  transport.writeUInt16BE(protocol === PROTOCOL.udp && sum === 0 ? 0xffff : sum, field);
}

/** Where the checksum stands in a transport header. */
export function checksumField(protocol: number): number {
  if (protocol === PROTOCOL.tcp) return 16;
  return protocol === PROTOCOL.udp ? 6 : 2;
}

/** Changes bytes of a part whose checksum at `field` covers them. */
export function change(part: Buffer, field: number, [from, to]: readonly [number, number], edit: () => void): void {
  const before = Buffer.from(part.subarray(from, to));
  edit();
  part.writeUInt16BE(updateChecksum(part.readUInt16BE(field), before, part.subarray(from, to)), field);
}
