// Who was behind a translated address and port at some time: the tenures of its block, or what is known when there is none.
import type { IpAddress } from '../../model/address.js';
import { type BlockOwner, ownerText, portsText } from '../../model/block-grant.js';
import type { BlockHistory } from '../../model/block-history.js';
import type { Tenure } from '../../model/block-replay.js';
import { type AddressFilter, type AddressPort, formatAddressPort } from '../address-port.js';
import type { Moment } from '../time.js';
import type { Owner } from './nat-owner.js';

/** An item of NatOwnerList that a journal answers with. */
export interface PastOwnerItem {
  readonly node: string;
  readonly owner: Owner;
  readonly outside: AddressPort;
  readonly ports: { readonly first: number; readonly last: number };
  readonly evidence: 'journal';
  readonly inside: AddressFilter;
  readonly clusterID: string;
  readonly containerID?: string;
  /** RFC 3339: when the block was granted. */
  readonly since: string;
  /** RFC 3339: when it was released; absent when it was not. */
  readonly until?: string;
}

/** One item for each inside address of a tenure that the outside address stands for. */
export function viewTenure({ grant, from, to }: Tenure, query: AddressPort): PastOwnerItem[] {
  const { ports, owner, node, clusterID } = grant;
  return grant.addresses
    .filter(({ outside }) => outside === query.address)
    .map(({ inside }) => ({
      node,
      owner: viewOwner(owner),
      outside: query,
      ports: { first: ports.first, last: ports.first + ports.count - 1 },
      evidence: 'journal',
      inside: { address: inside },
      clusterID,
      ...(owner.kind === 'Pod' ? { containerID: owner.containerID } : {}),
      since: new Date(from).toISOString(),
      ...(to === undefined ? {} : { until: new Date(to).toISOString() }),
    }));
}

function viewOwner(owner: BlockOwner): Owner {
  if (owner.kind === 'Node') return { kind: 'Node', name: owner.name };
  return { kind: 'Pod', namespace: owner.namespace, name: owner.name, uid: owner.uid };
}

/** What a journal says about a port that nobody had. */
export interface NobodyThen {
  readonly query: AddressPort;
  readonly moment: Moment;
  readonly history: BlockHistory;
  /** Whose journal it is, e.g. `node n1`. */
  readonly whose: string;
}

/** One sentence: why nobody had the port then, and who had it before and after. */
export function explainNobodyThen({ query, moment, history, whose }: NobodyThen): string {
  const { begins } = history;
  if (begins === undefined) return `the journal of ${whose} is empty`;
  const kept = `the journal of ${whose} begins at ${new Date(begins).toISOString()}`;
  if (!history.addresses.includes(query.address)) return `${kept} and ${elsewhere(history.addresses)}`;
  const { before, after } = history.around({ ...query, from: moment.from, to: moment.to });
  const told = [
    ...(before?.to === undefined
      ? []
      : [`before, ${describe(before)} had it until ${new Date(before.to).toISOString()}`]),
    ...(after === undefined ? [] : [`after, ${describe(after)} had it from ${new Date(after.from).toISOString()} on`]),
  ];
  if (told.length === 0) return `${kept} and knows no owner of this port`;
  const early = moment.to < begins ? ', later than that' : '';
  return `${kept}${early}; ${told.join('; ')}`;
}

function elsewhere(addresses: readonly IpAddress[]): string {
  return addresses.length === 0 ? 'knows no block' : `knows blocks of ${addresses.join(', ')} only`;
}

function describe({ grant }: Tenure): string {
  return `${ownerText(grant.owner)} (ports ${portsText(grant.ports)})`;
}

/** `203.0.113.7:40123 at 2026-11-21T12:00:00.000Z` */
export function questionText(query: AddressPort, { from }: Moment): string {
  return `${formatAddressPort(query)} at ${new Date(from).toISOString()}`;
}
