// How often services chose their backends: the map `hits`, by service and backend.
import type { Instance } from '../api/instances.js';
import type { IpAddress } from '../model/address.js';
import type { AddressPort } from './address-port.js';
import { listPins } from './pins.js';
import { openTable } from './table.js';

/** struct hit_key, as decoded. */
interface HitKey {
  readonly address: IpAddress;
  readonly service_id: number;
  readonly port: number;
}

/** New connections that were given a backend, since it came. */
export interface BackendHits extends AddressPort {
  readonly connections: bigint;
}

/** By service id, most connections first. */
export type HitIndex = ReadonlyMap<number, readonly BackendHits[]>;

/** undefined where an earlier datapath has no such map. */
export async function readHits(instance: Instance): Promise<HitIndex | undefined> {
  if (!(await listPins(instance)).includes('hits')) return undefined;
  using table = await openTable<HitKey, readonly { readonly connections: bigint }[]>(instance, 'hits');
  const index = new Map<number, BackendHits[]>();
  for (const { key, value } of table.rows()) {
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
