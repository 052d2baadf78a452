// What names one direction of a flow. ICMP echo: the identifier is the sender's port of a request, the receiver's of a reply.
import { addressBytes } from '../../../src/model/address.js';

/** 16 bytes as hexadecimal digits; IPv4 as RFC 4291 section 2.5.5.2 maps it. */
export type Address = string;

export interface Tuple {
  readonly protocol: number;
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
}

const known = new Map<string, Address>();

/** The model's name of an address that is written as text. */
export function addressOf(text: string): Address {
  const found = known.get(text) ?? Buffer.from(addressBytes(text)).toString('hex');
  known.set(text, found);
  return found;
}

/** The same of a tuple as the datapath's maps have it. */
export function tupleOf(protocol: number, at: MapTuple): Tuple {
  return {
    protocol,
    source: addressOf(at.source),
    sourcePort: at.source_port,
    destination: addressOf(at.destination),
    destinationPort: at.destination_port,
  };
}

export interface MapTuple {
  readonly source: string;
  readonly source_port: number;
  readonly destination: string;
  readonly destination_port: number;
}

/** The tuple of what answers. */
export function reverse({ protocol, source, sourcePort, destination, destinationPort }: Tuple): Tuple {
  return {
    protocol,
    source: destination,
    sourcePort: destinationPort,
    destination: source,
    destinationPort: sourcePort,
  };
}

/** A name for maps and for people. */
export function tupleText({ protocol, source, sourcePort, destination, destinationPort }: Tuple): string {
  return `${protocol} ${short(source)}:${sourcePort} > ${short(destination)}:${destinationPort}`;
}

function short(address: Address): string {
  return address.startsWith('00000000000000000000ffff')
    ? Buffer.from(address.slice(24), 'hex').join('.')
    : `[${address.replace(/0{8,}/, '~')}]`;
}
