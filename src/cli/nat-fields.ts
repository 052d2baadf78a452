// The columns of `nat who --at` and `nat stats`: data only, like fields.ts.
import type { Noun } from './output.js';

export const PAST_OWNER_LIST: Noun = {
  kind: 'NatOwnerList',
  empty: 'Nobody.',
  columns: [
    { header: 'OWNER', path: 'owner', as: 'owner' },
    { header: 'UID', path: 'owner.uid' },
    { header: 'NODE', path: 'node' },
    { header: 'PORTS', path: 'ports', as: 'range' },
    { header: 'INSIDE', path: 'inside', as: 'tuple' },
    { header: 'SINCE', path: 'since' },
    { header: 'UNTIL', path: 'until' },
    { header: 'CLUSTER', path: 'clusterID', wide: true },
    { header: 'CONTAINER', path: 'containerID', wide: true },
  ],
};

const NAT_ADDRESS_COLUMNS: Noun['columns'] = [
  { header: 'ADDRESS', path: 'address' },
  { header: 'BLOCKS', path: 'blocks.total', as: 'number' },
  { header: 'USED', path: 'blocks.used', as: 'number' },
  { header: 'RESTING', path: 'blocks.held', as: 'number' },
  { header: 'FLOWS', path: 'flows', as: 'number' },
  { header: 'PORTS IN USE', path: 'portsInUse', as: 'number' },
  { header: 'FILL', path: 'fillPercent', as: 'percent' },
];

/** Parts of NatStatsList: tables show them below each other, other formats in one item a node. */
export const NAT_STATS = {
  addresses: { kind: 'NatStatsList', empty: 'No translation addresses.', columns: NAT_ADDRESS_COLUMNS },
  owners: {
    kind: 'NatStatsList',
    empty: 'No owners of blocks.',
    columns: [
      { header: 'OWNER', path: 'owner', as: 'owner' },
      { header: 'ADDRESS', path: 'address' },
      { header: 'PORTS', path: 'ports', as: 'range' },
      { header: 'FLOWS', path: 'flows', as: 'number' },
      { header: 'PORTS IN USE', path: 'portsInUse', as: 'number' },
      { header: 'BUSIEST REMOTE', path: 'busiest.remote', as: 'tuple' },
      { header: 'PROTO', path: 'busiest.protocol' },
      { header: 'FLOWS TO IT', path: 'busiest.flows', as: 'number' },
      { header: 'FILL', path: 'busiest.fillPercent', as: 'percent' },
    ],
  },
  shortages: {
    kind: 'NatStatsList',
    empty: 'No pod was without a port.',
    columns: [
      { header: 'WITHOUT A PORT', path: 'owner', as: 'owner' },
      { header: 'FAMILY', path: 'family' },
      { header: 'WAITED', path: 'waiting', as: 'number' },
      { header: 'REFUSED', path: 'refused', as: 'number' },
      { header: 'LAST REMOTE', path: 'remote', as: 'tuple' },
      { header: 'PROTO', path: 'protocol' },
      { header: 'AGO', path: 'secondsAgo', as: 'duration' },
    ],
  },
  choices: {
    kind: 'NatStatsList',
    empty: 'No counters.',
    columns: [
      { header: 'CREATED', path: 'choices.created', as: 'number' },
      { header: 'REUSED', path: 'choices.reused', as: 'number' },
      { header: 'SHIFTED', path: 'choices.shifted', as: 'number' },
      { header: 'FORCED', path: 'choices.forced', as: 'number' },
      { header: 'EXHAUSTED', path: 'choices.exhausted', as: 'number' },
      { header: 'PORTS LOOKED AT', path: 'choices.probes', as: 'histogram' },
    ],
  },
  flowTable: {
    kind: 'NatStatsList',
    empty: 'No flow table.',
    columns: [
      { header: 'FLOW TABLE', path: 'flowTable.usedPercent', as: 'percent' },
      { header: 'ENTRIES', path: 'flowTable.entries', as: 'number' },
      { header: 'OF', path: 'flowTable.maxEntries', as: 'number' },
    ],
  },
  talkers: {
    kind: 'NatStatsList',
    empty: 'No flows.',
    columns: [
      { header: 'TALKER', path: 'pod', as: 'pod' },
      { header: 'DEVICE', path: 'device' },
      { header: 'FLOWS', path: 'flows', as: 'number' },
      { header: 'OPEN', path: 'open', as: 'number' },
      { header: 'UNANSWERED', path: 'unanswered', as: 'number' },
      { header: 'CLOSED', path: 'closed', as: 'number' },
      { header: 'REFUSED', path: 'refused', as: 'number' },
      { header: 'OF THE TABLE', path: 'sharePercent', as: 'percent' },
    ],
  },
  journal: {
    kind: 'NatStatsList',
    empty: 'No journal.',
    columns: [
      { header: 'JOURNAL', path: 'journal.directory' },
      { header: 'BEGINS', path: 'journal.begins' },
      { header: 'SEGMENTS', path: 'journal.segments', as: 'number' },
      { header: 'BYTES', path: 'journal.bytes', as: 'number' },
      { header: 'BYTES SINCE BOOT', path: 'journal.bytesSinceBoot', as: 'number' },
      { header: 'A MILLION FLOWS', path: 'journal.bytesPerMillionFlows', as: 'number' },
    ],
  },
} as const satisfies Readonly<Record<string, Noun>>;
