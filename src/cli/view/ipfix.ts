// Events of port blocks with the names of IPFIX information elements (RFC 8158 and the IANA registry).
import { type Family, familyOf } from '../../model/address.js';
import type { BlockEvent, GrantedAddress } from '../../model/block-grant.js';

/** One record of a collector; the names and the values are those of the registry. */
export type IpfixRecord = Readonly<Record<string, string | number>>;

/** Values of natEvent (element 230). */
const NAT_EVENT = { granted: 16, released: 17 } as const;

const ADDRESS_ELEMENTS: Readonly<Record<Family, { readonly inside: string; readonly outside: string }>> = {
  ipv4: { inside: 'sourceIPv4Address', outside: 'postNATSourceIPv4Address' },
  ipv6: { inside: 'sourceIPv6Address', outside: 'postNATSourceIPv6Address' },
};

/** One record for each address of the owner: "Port block allocation", or "Port block de-allocation". */
export function ipfixRecords(event: BlockEvent): IpfixRecord[] {
  return event.addresses.map((address) => record(event, address));
}

function record(event: BlockEvent, { inside, outside }: GrantedAddress): IpfixRecord {
  const { ports, owner, node, clusterID } = event;
  const elements = ADDRESS_ELEMENTS[familyOf(inside)];
  return {
    observationTimeMilliseconds: Date.parse(event.time),
    natEvent: NAT_EVENT[event.event],
    observationDomainName: node,
    internalAddressRealm: clusterID,
    [elements.inside]: inside,
    [elements.outside]: outside,
    portRangeStart: ports.first,
    portRangeEnd: ports.first + ports.count - 1,
    portRangeStepSize: 1,
    portRangeNumPorts: ports.count,
    ...(owner.kind === 'Pod'
      ? { virtualStationName: `${owner.namespace}/${owner.name}`, virtualStationUUID: owner.uid }
      : {}),
  };
}
