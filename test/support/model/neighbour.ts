// The gateway of pods, which is every pod's only neighbour: ARP (RFC 826) and neighbour discovery (RFC 4861).
import { transportChecksum } from '../checksum.js';
import { ETHERNET_BYTES, macBytes } from '../packet-layer.js';
import type { ModelNode } from './node.js';
import { addressOf } from './tuple.js';
import { Refused, type View } from './view.js';

/** The reply to a pod's request for its gateway; undefined for what the host's stack is to judge. Throws Refused. */
export function arpReply(frame: Buffer, { config }: ModelNode): Buffer | undefined {
  const arp = frame.subarray(ETHERNET_BYTES);
  if (arp.length < 28) throw new Refused('DROP_TRUNCATED');
  if (arp.readUInt16BE(6) !== 1) return undefined;
  if (arp.toString('hex', 24, 28) !== addressOf(config.gateway[0] ?? '').slice(24)) {
    throw new Refused('DROP_NEIGHBOUR_UNKNOWN');
  }
  const out = backFrom(frame, macBytes(config.gateway_mac));
  const reply = out.subarray(ETHERNET_BYTES);
  reply.writeUInt16BE(2, 6);
  reply.set(macBytes(config.gateway_mac), 8);
  arp.copy(reply, 14, 24, 28);
  arp.copy(reply, 18, 8, 14);
  arp.copy(reply, 24, 14, 18);
  return out;
}

/** The advertisement that answers a pod's solicitation. Throws Refused. */
export function advertisement(frame: Buffer, { transport, hops, bytes, tuple }: View, { config }: ModelNode): Buffer {
  if (hops !== 255 || transport !== 40) throw new Refused('DROP_MALFORMED');
  if (bytes.length < transport + 24) throw new Refused('DROP_TRUNCATED');
  const target = bytes.toString('hex', transport + 8, transport + 24);
  const gateway = addressOf(config.gateway[1] ?? '');
  if (target !== gateway || /^0+$/.test(tuple.source)) throw new Refused('DROP_NEIGHBOUR_UNKNOWN');
  const mac = config.gateway_mac.replaceAll(':', '');
  const message = Buffer.from(`88000000e0000000${gateway}0201${mac}`, 'hex');
  const ends = { source: Buffer.from(gateway, 'hex'), destination: Buffer.from(tuple.source, 'hex') };
  message.writeUInt16BE(transportChecksum({ ...ends, protocol: 58 }, message), 2);
  const head = Buffer.from(backFrom(frame, macBytes(config.gateway_mac)).subarray(0, ETHERNET_BYTES + 40));
  head.writeUInt16BE(message.length, ETHERNET_BYTES + 4);
  head.writeUInt8(255, ETHERNET_BYTES + 7);
  head.set(ends.source, ETHERNET_BYTES + 8);
  head.set(ends.destination, ETHERNET_BYTES + 24);
  return Buffer.concat([head, message]);
}

/** A copy whose Ethernet destination is the sender. */
function backFrom(frame: Buffer, mac: Buffer): Buffer {
  const out = Buffer.from(frame);
  frame.copy(out, 0, 6, 12);
  out.set(mac, 6);
  return out;
}
