// Reads the owners of ports from the endpoints map of an instance.
import type { Instance } from '../api/instances.js';
import type { IpAddress } from '../model/address.js';
import { openTable } from './table.js';
import { type EndpointValue, portBlocks } from './view/endpoint.js';
import { createFlagDecoder } from './view/flags.js';
import type { PortBlock } from './view/nat-owner.js';

/** Every block of every row of the endpoints map. Throws CliError when the map cannot be read. */
export async function readPortBlocks(instance: Instance): Promise<PortBlock[]> {
  using table = await openTable<IpAddress, EndpointValue>(instance, 'endpoints');
  const flags = createFlagDecoder(table.enumValues('endpoint_flags'), 'ENDPOINT_');
  return [...table.rows()].flatMap((row) => portBlocks(row, flags(row.value.flags)));
}
