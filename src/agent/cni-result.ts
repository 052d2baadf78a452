// What the CNI plugin prints after ADD, in the version that was asked for, and the names that it gives.
import { createHash, randomBytes } from 'node:crypto';
import { type Family, familyOf, type IpAddress } from '../model/address.js';
import type { Endpoint } from '../model/endpoint.js';
import { type CniVersion, isOlder } from './cni-error.js';
import { defaultOf, GATEWAY_MAC, gatewayOf, hostPrefix } from './wiring.js';

/** Passed on from who asked. */
export type Dns = Readonly<Record<string, unknown>>;

/** Host side of the veth: the same name for the same attachment, also after a crash. */
export function hostInterfaceName(containerID: string, interfaceName: string): string {
  return `ist${createHash('sha256').update(`${containerID}/${interfaceName}`).digest('hex').slice(0, 10)}`;
}

/** A new unicast MAC that no vendor owns. */
export function randomMac(): string {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The result of ADD. */
export function formatResult(endpoint: Endpoint, cniVersion: CniVersion, dns: Dns = {}): unknown {
  if (isOlder(cniVersion, '0.3.0')) return formatOldest(endpoint, cniVersion, dns);
  const device = isOlder(cniVersion, '1.1.0') ? {} : { mtu: endpoint.mtu };
  return {
    cniVersion,
    interfaces: [
      { name: endpoint.hostInterface, mac: GATEWAY_MAC, ...device },
      { name: endpoint.interfaceName, mac: endpoint.mac, ...device, sandbox: endpoint.netns },
    ],
    ips: endpoint.addresses.map((address) => ({
      ...(isOlder(cniVersion, '1.0.0') ? { version: familyOf(address) === 'ipv4' ? '4' : '6' } : {}),
      interface: 1,
      address: hostPrefix(address),
      gateway: gatewayOf(address),
    })),
    routes: endpoint.addresses.map(routeOf),
    dns,
  };
}

/** Before 0.3.0 a result had one address of each family, and no interfaces. */
function formatOldest(endpoint: Endpoint, cniVersion: CniVersion, dns: Dns): unknown {
  const one = (family: Family): object | undefined => {
    const address = endpoint.addresses.find((each) => familyOf(each) === family);
    if (address === undefined) return undefined;
    return { ip: hostPrefix(address), gateway: gatewayOf(address), routes: [routeOf(address)] };
  };
  return { cniVersion, ip4: one('ipv4'), ip6: one('ipv6'), dns };
}

function routeOf(address: IpAddress): object {
  return { dst: defaultOf(address), gw: gatewayOf(address) };
}
