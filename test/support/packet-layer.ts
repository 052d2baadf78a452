// The layers of a packet for tests: each one's header, with correct lengths and checksums unless a field says otherwise.
import { addressBytes } from '../../src/model/address.js';
import { internetChecksum, type Pseudo, transportChecksum } from './checksum.js';

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, fragment: 44, icmp6: 58, none: 59 } as const;
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
export const ETHERNET_BYTES = 14;

export interface EthernetFields {
  readonly source?: string;
  readonly destination?: string;
  readonly type?: number;
}

export interface Ipv4Fields {
  readonly source: string;
  readonly destination: string;
  readonly ttl?: number;
  readonly id?: number;
  readonly tos?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** Bytes, a multiple of 8. */
  readonly offset?: number;
  /** Padded by the caller to a multiple of 4. */
  readonly options?: Uint8Array;
  readonly version?: number;
  readonly ihl?: number;
  readonly length?: number;
  readonly protocol?: number;
  readonly checksum?: number;
}

export interface Ipv6Fields {
  readonly source: string;
  readonly destination: string;
  readonly hopLimit?: number;
  readonly label?: number;
  readonly version?: number;
  readonly length?: number;
  readonly next?: number;
}

export type IpFields = Pick<Ipv4Fields, 'source' | 'destination' | 'ttl'>;

export interface TcpFields {
  readonly source: number;
  readonly destination: number;
  readonly seq?: number;
  readonly ack?: number;
  /** Of `FSRPAU`; `S` when absent. */
  readonly flags?: string;
  readonly window?: number;
  readonly options?: Uint8Array;
  readonly dataOffset?: number;
  readonly checksum?: number;
}

export interface UdpFields {
  readonly source: number;
  readonly destination: number;
  readonly length?: number;
  readonly checksum?: number;
}

export interface IcmpFields {
  readonly type: number;
  readonly code?: number;
  /** Second word: MTU, pointer or flags. */
  readonly rest?: number;
  readonly checksum?: number;
}

export interface EchoFields {
  readonly id: number;
  readonly sequence?: number;
  readonly reply?: boolean;
  readonly checksum?: number;
}

/** Of an IPv6 fragment header. */
export interface FragmentFields {
  /** Bytes, a multiple of 8. */
  readonly offset?: number;
  readonly more?: boolean;
  readonly id?: number;
  readonly next?: number;
}

/** What a layer may know of those around it. */
export interface Around {
  readonly next: Layer | undefined;
  readonly pseudo: Omit<Pseudo, 'protocol'> | undefined;
}

export interface Layer {
  readonly ethertype?: number;
  readonly protocol?: number;
  readonly pseudo?: Omit<Pseudo, 'protocol'>;
  encode(body: Buffer, around: Around): Buffer;
}

export function macBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

/** 4 or 16 bytes. */
export function wireAddress(text: string): Buffer {
  return Buffer.from(addressBytes(text)).subarray(text.includes(':') ? 0 : 12);
}

export function ethernetLayer(fields: EthernetFields): Layer {
  const { source = '02:00:00:00:00:01', destination = '02:69:73:74:00:01', type } = fields;
  return {
    encode(body, { next }) {
      const tail = Buffer.alloc(2);
      tail.writeUInt16BE(type ?? next?.ethertype ?? 0xffff);
      return Buffer.concat([macBytes(destination), macBytes(source), tail, body]);
    },
  };
}

export function ipv4Layer(fields: Ipv4Fields): Layer {
  const pseudo = { source: wireAddress(fields.source), destination: wireAddress(fields.destination) };
  return {
    ethertype: ETHERTYPE.ipv4,
    protocol: 4,
    pseudo,
    encode(body, { next }) {
      const { options = Buffer.alloc(0), ttl = 64, id = 1, tos = 0, version = 4, offset = 0 } = fields;
      const head = Buffer.alloc(20);
      head[0] = (version << 4) | (fields.ihl ?? 5 + options.length / 4);
      head[1] = tos;
      head.writeUInt16BE(fields.length ?? 20 + options.length + body.length, 2);
      head.writeUInt16BE(id, 4);
      const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0);
      head.writeUInt16BE(flags | (offset >> 3), 6);
      head[8] = ttl;
      head[9] = fields.protocol ?? next?.protocol ?? 255;
      pseudo.source.copy(head, 12);
      pseudo.destination.copy(head, 16);
      head.writeUInt16BE(fields.checksum ?? internetChecksum(Buffer.concat([head, options])), 10);
      return Buffer.concat([head, options, body]);
    },
  };
}

export function ipv6Layer(fields: Ipv6Fields): Layer {
  const pseudo = { source: wireAddress(fields.source), destination: wireAddress(fields.destination) };
  return {
    ethertype: ETHERTYPE.ipv6,
    protocol: 41,
    pseudo,
    encode(body, { next }) {
      const head = Buffer.alloc(8);
      head.writeUInt32BE(((fields.version ?? 6) << 28) | (fields.label ?? 0), 0);
      head.writeUInt16BE(fields.length ?? body.length, 4);
      head[6] = fields.next ?? next?.protocol ?? PROTOCOL.none;
      head[7] = fields.hopLimit ?? 64;
      return Buffer.concat([head, pseudo.source, pseudo.destination, body]);
    },
  };
}

export function extensionLayer(protocol: number, bytes: number): Layer {
  return {
    protocol,
    encode(body, { next }) {
      const head = Buffer.alloc(bytes);
      head[0] = next?.protocol ?? PROTOCOL.none;
      head[1] = bytes / 8 - 1;
      head[2] = 1; // PadN over the rest
      head[3] = bytes - 4;
      return Buffer.concat([head, body]);
    },
  };
}

/** The option that the kernel puts into IPv6 packets beyond 64 KiB. */
export function jumboLayer(): Layer {
  return {
    protocol: 0,
    encode(body, { next }) {
      const head = Buffer.from([next?.protocol ?? PROTOCOL.none, 0, 0xc2, 4, 0, 0, 0, 0]);
      head.writeUInt32BE(head.length + body.length, 4);
      return Buffer.concat([head, body]);
    },
  };
}

export function fragmentLayer(fields: FragmentFields): Layer {
  return {
    protocol: PROTOCOL.fragment,
    encode(body, { next }) {
      const head = Buffer.alloc(8);
      head[0] = fields.next ?? next?.protocol ?? PROTOCOL.none;
      head.writeUInt16BE((fields.offset ?? 0) | (fields.more ? 1 : 0), 2);
      head.writeUInt32BE(fields.id ?? 1, 4);
      return Buffer.concat([head, body]);
    },
  };
}

const TCP_FLAGS = 'FSRPAU';

export function tcpLayer(fields: TcpFields): Layer {
  return {
    protocol: PROTOCOL.tcp,
    encode(body, { pseudo }) {
      const { options = Buffer.alloc(0), flags = 'S', seq = 1000, ack = 0, window = 64240 } = fields;
      const head = Buffer.alloc(20);
      head.writeUInt16BE(fields.source, 0);
      head.writeUInt16BE(fields.destination, 2);
      head.writeUInt32BE(seq, 4);
      head.writeUInt32BE(ack, 8);
      head[12] = (fields.dataOffset ?? 5 + options.length / 4) << 4;
      head[13] = [...flags].reduce((bits, flag) => bits | (1 << TCP_FLAGS.indexOf(flag)), 0);
      head.writeUInt16BE(window, 14);
      const segment = Buffer.concat([head, options, body]);
      segment.writeUInt16BE(fields.checksum ?? checksumOf(PROTOCOL.tcp, segment, pseudo), 16);
      return segment;
    },
  };
}

export function udpLayer(fields: UdpFields): Layer {
  return {
    protocol: PROTOCOL.udp,
    encode(body, { pseudo }) {
      const head = Buffer.alloc(8);
      head.writeUInt16BE(fields.source, 0);
      head.writeUInt16BE(fields.destination, 2);
      head.writeUInt16BE(fields.length ?? 8 + body.length, 4);
      const segment = Buffer.concat([head, body]);
      segment.writeUInt16BE(fields.checksum ?? (checksumOf(PROTOCOL.udp, segment, pseudo) || 0xffff), 6);
      return segment;
    },
  };
}

export function icmpLayer(protocol: number, { type, code = 0, rest = 0, checksum }: IcmpFields): Layer {
  return {
    protocol,
    encode(body, { pseudo }) {
      const head = Buffer.from([type, code, 0, 0, 0, 0, 0, 0]);
      head.writeUInt32BE(rest, 4);
      const message = Buffer.concat([head, body]);
      const sum = protocol === PROTOCOL.icmp ? internetChecksum(message) : checksumOf(protocol, message, pseudo);
      message.writeUInt16BE(checksum ?? sum, 2);
      return message;
    },
  };
}

function checksumOf(protocol: number, segment: Uint8Array, pseudo: Around['pseudo']): number {
  if (pseudo === undefined) throw new Error('a transport header needs an IP header around it');
  return transportChecksum({ ...pseudo, protocol }, segment);
}
