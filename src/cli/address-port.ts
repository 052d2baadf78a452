// Parses what people type for a transport address: 203.0.113.7:40123, [2001:db8::7]:40123, and without a port where allowed.
import { type IpAddress, parseAddress } from '../model/address.js';
import { usage } from './exit.js';

export interface AddressPort {
  readonly address: IpAddress;
  readonly port: number;
}

/** As typed for a filter: the port may be left out. */
export interface AddressFilter {
  readonly address: IpAddress;
  readonly port?: number;
}

/** Parses ADDR:PORT. Throws a usage error of one sentence that says what is wrong and how it is written. */
export function parseAddressPort(text: string): AddressPort {
  const { address, port } = parseAddressFilter(text);
  if (port !== undefined) return { address, port };
  const form = address.includes(':') ? `[${address}]:PORT` : `${address}:PORT`;
  throw usage(`'${text}' has no port: write ${form}`);
}

/** Parses ADDR or ADDR:PORT. Throws a usage error. */
export function parseAddressFilter(text: string): AddressFilter {
  const { host, port } = split(text);
  const address = parseHost(host, text);
  return port === undefined ? { address } : { address, port: parsePort(port, text) };
}

/** `203.0.113.7:40123` or `[2001:db8::7]:40123`; the address alone when there is no port. */
export function formatAddressPort({ address, port }: AddressFilter): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function split(text: string): { host: string; port?: string } {
  if (text === '') throw usage('the address is empty: write ADDR:PORT, for IPv6 [ADDR]:PORT');
  if (text.startsWith('[')) return splitBracketed(text);
  const colons = text.split(':').length - 1;
  if (colons === 0 || colons > 1) return { host: text };
  const at = text.indexOf(':');
  return { host: text.slice(0, at), port: text.slice(at + 1) };
}

function splitBracketed(text: string): { host: string; port?: string } {
  const end = text.indexOf(']');
  if (end < 0) throw usage(`'${text}' has no closing bracket: write [ADDR]:PORT`);
  const host = text.slice(1, end);
  if (!host.includes(':')) throw usage(`'${text}' has brackets around something that is not an IPv6 address`);
  const rest = text.slice(end + 1);
  if (rest === '') return { host };
  if (!rest.startsWith(':')) throw usage(`'${text}' has '${rest}' after the bracket: write [${host}]:PORT`);
  return { host, port: rest.slice(1) };
}

function parseHost(host: string, text: string): IpAddress {
  if (host === '') throw usage(`'${text}' has no address before the port`);
  try {
    return parseAddress(host);
  } catch {
    const hint = host.includes(':') ? '; an IPv6 address with a port is written [ADDR]:PORT' : '';
    throw usage(`'${host}' is not an IP address${hint}`);
  }
}

function parsePort(port: string, text: string): number {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : Number.NaN;
  if (number <= 65535) return number;
  throw usage(`'${port}' in '${text}' is not a port: a port is a number from 0 to 65535`);
}
