// Packets for tests: `eth().ip({...}).tcp({...})` gives a correct packet, and any field may be made wrong.

import type {
  EchoFields,
  EthernetFields,
  FragmentFields,
  IcmpFields,
  IpFields,
  Ipv4Fields,
  Ipv6Fields,
  Layer,
  TcpFields,
  UdpFields,
} from './packet-layer.js';
import * as layers from './packet-layer.js';
import { PROTOCOL } from './packet-layer.js';
import { type SctpFields, sctpLayer } from './sctp-layer.js';

/** An immutable stack of layers; each method puts one more inside. */
export class Packet {
  readonly #layers: readonly Layer[];

  constructor(layers: readonly Layer[]) {
    this.#layers = layers;
  }

  eth(fields: EthernetFields = {}): Packet {
    return this.#with(layers.ethernetLayer(fields));
  }

  ipv4(fields: Ipv4Fields): Packet {
    return this.#with(layers.ipv4Layer(fields));
  }

  ipv6(fields: Ipv6Fields): Packet {
    return this.#with(layers.ipv6Layer(fields));
  }

  /** Of the family that the source has. */
  ip({ source, destination, ttl = 64 }: IpFields): Packet {
    if (source.includes(':')) return this.ipv6({ source, destination, hopLimit: ttl });
    return this.ipv4({ source, destination, ttl });
  }

  /** As the kernel writes a packet beyond 64 KiB (BIG TCP): without a length, by IPv6 with the option of a jumbogram. */
  big(fields: IpFields): Packet {
    if (!fields.source.includes(':')) return this.#with(layers.ipv4Layer({ ...fields, length: 0 }));
    const { source, destination, ttl = 64 } = fields;
    return this.#with(layers.ipv6Layer({ source, destination, hopLimit: ttl, length: 0 })).#with(layers.jumboLayer());
  }

  /** An IPv6 extension header: hop-by-hop 0, routing 43, destination options 60; padded to 8 bytes. */
  extension(protocol: number, bytes = 8): Packet {
    return this.#with(layers.extensionLayer(protocol, bytes));
  }

  fragment6(fields: FragmentFields): Packet {
    return this.#with(layers.fragmentLayer(fields));
  }

  tcp(fields: TcpFields): Packet {
    return this.#with(layers.tcpLayer(fields));
  }

  udp(fields: UdpFields): Packet {
    return this.#with(layers.udpLayer(fields));
  }

  sctp(fields: SctpFields): Packet {
    return this.#with(sctpLayer(fields));
  }

  icmp4(fields: IcmpFields): Packet {
    return this.#with(layers.icmpLayer(PROTOCOL.icmp, fields));
  }

  icmp6(fields: IcmpFields): Packet {
    return this.#with(layers.icmpLayer(PROTOCOL.icmp6, fields));
  }

  /** An echo of the family of the layers so far. */
  echo({ id, sequence = 1, reply = false, checksum }: EchoFields): Packet {
    const ipv6 = this.#layers.some(({ pseudo }) => pseudo?.source.length === 16);
    const type = ipv6 ? (reply ? 129 : 128) : reply ? 0 : 8;
    const rest = id * 0x10000 + sequence;
    const fields = { type, rest, ...(checksum === undefined ? {} : { checksum }) };
    return ipv6 ? this.icmp6(fields) : this.icmp4(fields);
  }

  /** Text, bytes, or so many bytes that count up. */
  payload(content: string | Uint8Array | number): Packet {
    const bytes = typeof content === 'number' ? counting(content) : Buffer.from(content);
    return this.#with({ encode: (body) => Buffer.concat([bytes, body]) });
  }

  bytes(): Buffer {
    let body: Buffer = Buffer.alloc(0);
    for (let index = this.#layers.length - 1; index >= 0; index--) {
      const pseudo = this.#layers.slice(0, index).findLast((layer) => layer.pseudo !== undefined)?.pseudo;
      body = this.#layers[index]?.encode(body, { next: this.#layers[index + 1], pseudo }) ?? body;
    }
    return body;
  }

  #with(layer: Layer): Packet {
    return new Packet([...this.#layers, layer]);
  }
}

/** A frame; the fields' defaults are those of nobody in particular. */
export function eth(fields: EthernetFields = {}): Packet {
  return new Packet([]).eth(fields);
}

/** An IP packet without a frame, as ICMP errors quote it. */
export function ip(fields: IpFields): Packet {
  return new Packet([]).ip(fields);
}

function counting(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, index) => index));
}
