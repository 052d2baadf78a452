// The address and port of a listener, as settings name it: 0.0.0.0:10256, [::1]:10249, or off.
import { isIP } from 'node:net';

export interface ListenAddress {
  /** '' is all addresses, of both families. */
  readonly host: string;
  readonly port: number;
}

const EVERY_ADDRESS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);
const PORT_MAX = 65_535;

/** undefined for `off` or nothing at all. Throws RangeError with what it should be. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text === '' || text === 'off') return undefined;
  const [, bracketed, plain = '', digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain;
  const isAddress = host === '' || isIP(host) > 0;
  if (!isAddress || !(port >= 1 && port <= PORT_MAX))
    throw new RangeError("is not ADDRESS:PORT such as 0.0.0.0:10256 or [::1]:10256, nor 'off'");
  return { host: EVERY_ADDRESS.has(host) ? '' : host, port };
}

/** `0.0.0.0:10256` */
export function listenText({ host, port }: ListenAddress): string {
  return `${host === '' ? '0.0.0.0' : host.includes(':') ? `[${host}]` : host}:${port}`;
}
