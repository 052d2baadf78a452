// Hits of backends as people see them: connections by service and backend, summed over CPUs.
import type { IpAddress } from '../../model/address.js';
import type { AddressPort } from '../address-port.js';

/** struct hit_key, as decoded. */
export interface HitKey {
  readonly address: IpAddress;
  readonly service_id: number;
  readonly port: number;
}

/** struct hit_counter, as decoded. */
export interface HitCounter {
  readonly connections: bigint;
}

/** New connections that were given a backend, since it came. */
export interface BackendHits extends AddressPort {
  readonly connections: bigint;
}

/** By service id, most connections first. */
export type HitIndex = ReadonlyMap<number, readonly BackendHits[]>;

/** Rows of a per-CPU map. */
export function indexHits(rows: Iterable<{ readonly key: HitKey; readonly value: readonly HitCounter[] }>): HitIndex {
  const index = new Map<number, BackendHits[]>();
  for (const { key, value } of rows) {
    const connections = value.reduce((sum, counter) => sum + counter.connections, 0n);
    const list = index.get(key.service_id) ?? [];
    list.push({ address: key.address, port: key.port, connections });
    index.set(key.service_id, list);
  }
  for (const list of index.values()) list.sort((a, b) => Number(b.connections - a.connections));
  return index;
}

/** Of one backend; 0 when it was never used, undefined when nobody counts. */
export function hitsOf(index: HitIndex | undefined, id: number, { address, port }: AddressPort): bigint | undefined {
  const found = index?.get(id)?.find((one) => one.address === address && one.port === port);
  return index === undefined ? undefined : (found?.connections ?? 0n);
}
