// Reads which pods found no port from the shortages map of an instance.
import type { Instance } from '../api/instances.js';
import { FAMILIES, type IpAddress } from '../model/address.js';
import { openTable } from './table.js';
import { protocolName } from './view/flow.js';
import type { Owner } from './view/nat-owner.js';
import type { ShortageItem } from './view/nat-stats.js';

/** struct shortage_key, as decoded. */
interface ShortageKey {
  readonly ifindex: number;
  readonly family: number;
}

/** What of struct shortage is shown, as decoded. */
interface ShortageValue {
  readonly waiting: bigint;
  readonly refused: bigint;
  readonly remote: IpAddress;
  readonly remote_port: number;
  readonly protocol: number;
  readonly last: number;
}

/** Those of pods that are there, and the node's; the last first. Throws CliError when the map cannot be read. */
export async function readShortages(instance: Instance): Promise<ShortageItem[]> {
  using table = await openTable<ShortageKey, ShortageValue>(instance, 'shortages');
  const now = Number(process.hrtime.bigint() / 1_000_000_000n);
  return [...table.rows()]
    .filter(({ value }) => value.waiting + value.refused > 0n)
    .flatMap(({ key, value }) => view(instance, key, value, now) ?? [])
    .sort((a, b) => a.secondsAgo - b.secondsAgo);
}

function view(instance: Instance, key: ShortageKey, value: ShortageValue, now: number): ShortageItem | undefined {
  const owner = ownerOf(instance, key.ifindex);
  const family = FAMILIES[key.family];
  if (owner === undefined || family === undefined) return undefined;
  return {
    node: instance.node,
    owner,
    family,
    waiting: value.waiting,
    refused: value.refused,
    protocol: protocolName(value.protocol),
    remote: { address: value.remote, port: value.remote_port },
    secondsAgo: Math.max(0, now - value.last),
  };
}

/** undefined when its pod is gone. */
function ownerOf({ node, endpoints }: Instance, ifindex: number): Owner | undefined {
  if (ifindex === 0) return { kind: 'Node', name: node };
  const record = endpoints.find((endpoint) => endpoint.ifindex === ifindex);
  return record && { kind: 'Pod', namespace: record.namespace, name: record.pod, uid: record.podUID };
}
