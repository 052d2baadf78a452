// Translation addresses of pools on the uplink: so that the node's kernel answers for them where they are on the link.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { familyOf, type IpAddress } from '../model/address.js';
import type { LinkInfo, Netlink } from '../net/native.js';
import { writeDurably } from './endpoint-store.js';

/** Which of the uplink's addresses are ours to remove, for the agents after this one. */
export const RECORD_NAME = 'uplink-addresses.json';

export interface UplinkAddressesOptions {
  readonly node: Netlink;
  readonly uplink: LinkInfo;
  readonly stateDir: string;
}

/** An address that the kernel refused. */
export interface AddressFailure {
  readonly address: IpAddress;
  readonly reason: string;
}

/**
 * Adds what is wanted and missing, and removes what an agent added and nobody wants any more. One that was there
 * already is somebody else's and stays. Returns what failed.
 */
export function reconcileUplinkAddresses(
  wanted: readonly IpAddress[],
  { node, uplink, stateDir }: UplinkAddressesOptions,
): AddressFailure[] {
  const path = join(stateDir, RECORD_NAME);
  const ours = readRecord(path);
  if (wanted.length === 0 && ours.length === 0) return [];
  const present = new Set(node.addresses(uplink.ifindex).map(({ address }) => address.split('/')[0]));
  const missing = wanted.filter((address) => !present.has(address));
  const unwanted = ours.filter((address) => !wanted.includes(address));
  // On disk first: an address that nobody knows the origin of would stay for ever.
  const adopted = ours.filter((address) => wanted.includes(address));
  if (missing.length + unwanted.length > 0) writeRecord(path, [...new Set([...ours, ...missing])]);
  const failures = [
    ...missing.flatMap((address) => attempt(address, () => node.addAddress(uplink.ifindex, hostPrefix(address), true))),
    ...unwanted.flatMap((address) => attempt(address, () => node.deleteAddress(uplink.ifindex, hostPrefix(address)))),
  ];
  const failed = failures.map(({ address }) => address).filter((address) => unwanted.includes(address));
  if (missing.length + unwanted.length > 0) writeRecord(path, [...new Set([...adopted, ...missing, ...failed])]);
  return failures;
}

function attempt(address: IpAddress, change: () => unknown): AddressFailure[] {
  try {
    change();
    return [];
  } catch (error) {
    return [{ address, reason: (error as Error).message }];
  }
}

function hostPrefix(address: IpAddress): string {
  return `${address}/${familyOf(address) === 'ipv4' ? 32 : 128}`;
}

function writeRecord(path: string, addresses: readonly IpAddress[]): void {
  writeDurably(path, `${JSON.stringify({ addresses })}\n`);
}

/** Which addresses an agent added and has not removed. */
export function ownedUplinkAddresses(stateDir: string): IpAddress[] {
  return readRecord(join(stateDir, RECORD_NAME));
}

/** None when there is no record. */
function readRecord(path: string): IpAddress[] {
  try {
    const { addresses } = JSON.parse(readFileSync(path, 'utf8')) as { addresses?: unknown };
    return Array.isArray(addresses) ? addresses.map(String) : [];
  } catch {
    return [];
  }
}
