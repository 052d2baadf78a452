// The columns of every list: data only. A column's path leads to a field of the item that -o json prints.
import type { Noun } from './output.js';

const HEALTH = { healthy: 'green', degraded: 'yellow', down: 'red', waiting: 'yellow' } as const;

export const STATUS_LIST: Noun = {
  kind: 'StatusList',
  empty: 'No nodes.',
  columns: [
    { header: 'NODE', path: 'node' },
    { header: 'HEALTH', path: 'health', colours: HEALTH },
    { header: 'AGENT', path: 'agent.phase' },
    { header: 'AGE', path: 'agent.ageSeconds', as: 'duration' },
    { header: 'IPV4', path: 'modes.ipv4' },
    { header: 'IPV6', path: 'modes.ipv6' },
    { header: 'UPLINK', path: 'uplink.name' },
    { header: 'PODS', path: 'endpoints', as: 'number' },
    { header: 'SERVICES', path: 'services', as: 'number' },
    { header: 'FLOW TABLE', path: 'flows.usedPercent', as: 'percent' },
    { header: 'ENTRIES', path: 'flows.entries', as: 'number', wide: true },
    { header: 'MOST ENTRIES', path: 'flows.maxEntries', as: 'number', wide: true },
    { header: 'PROGRAMS', path: 'programs', as: 'number' },
    { header: 'PROBLEMS', path: 'problemCount', as: 'number' },
    { header: 'VERSION', path: 'version', wide: true },
    { header: 'PID', path: 'agent.pid', as: 'number', wide: true },
    { header: 'RSS', path: 'agent.rssBytes', as: 'number', wide: true },
    { header: 'SOURCE', path: 'source.where', wide: true },
    { header: 'BPFFS', path: 'bpffs', wide: true },
    { header: 'XDP', path: 'xdp.mode', wide: true },
    { header: 'XDP REASON', path: 'xdp.reason', wide: true },
    { header: 'IPV4 PACKETS', path: 'offloads.packetBytes.ipv4', as: 'number', wide: true },
    { header: 'IPV6 PACKETS', path: 'offloads.packetBytes.ipv6', as: 'number', wide: true },
    { header: 'PACKETS REASON', path: 'offloads.reason', wide: true },
    { header: 'GRO', path: 'offloads.gro', as: 'yes', wide: true },
  ],
};

export const ENDPOINT_LIST: Noun = {
  kind: 'EndpointList',
  empty: 'No endpoints.',
  columns: [
    { header: 'POD', path: 'pod', as: 'pod' },
    { header: 'ADDRESSES', path: 'addresses', as: 'list' },
    { header: 'NAT ADDRESSES', path: 'natAddresses', as: 'list' },
    { header: 'NAT PORTS', path: 'ports', as: 'range' },
    { header: 'DEVICE', path: 'hostInterface' },
    { header: 'READY', path: 'ready', as: 'yes', colours: { no: 'red' } },
    { header: 'AGE', path: 'ageSeconds', as: 'duration' },
    { header: 'MAC', path: 'mac', wide: true },
    { header: 'MTU', path: 'mtu', as: 'number', wide: true },
    { header: 'IFINDEX', path: 'ifindex', as: 'number', wide: true },
    { header: 'UID', path: 'podUID', wide: true },
    { header: 'CONTAINER', path: 'containerID', wide: true },
    { header: 'NETNS', path: 'netns', wide: true },
    { header: 'CHAINED', path: 'chained', as: 'yes', wide: true },
  ],
};

export const ROUTE_LIST: Noun = {
  kind: 'RouteList',
  empty: 'No routes.',
  columns: [
    { header: 'PREFIX', path: 'prefix' },
    { header: 'TYPE', path: 'type' },
    { header: 'NEXT HOP', path: 'nextHop' },
    { header: 'MEANING', path: 'meaning' },
  ],
};

export const SERVICE_LIST: Noun = {
  kind: 'ServiceList',
  empty: 'No services.',
  columns: [
    { header: 'SERVICE', path: 'service', as: 'pod' },
    { header: 'PORT', path: 'portName' },
    { header: 'TYPE', path: 'type' },
    { header: 'PROTO', path: 'protocol' },
    { header: 'FRONTEND', path: 'frontend', as: 'tuple' },
    { header: 'READY', path: 'backendCount', as: 'number', colours: { 0: 'red' } },
    { header: 'READY OUTSIDE', path: 'external.backendCount', as: 'number', colours: { 0: 'red' } },
    { header: 'BACKENDS', path: 'backends', as: 'tuples', wide: true },
    { header: 'FROM OUTSIDE', path: 'external.backends', as: 'tuples', wide: true },
    { header: 'INTERNAL', path: 'policy.internal', wide: true },
    { header: 'EXTERNAL', path: 'policy.external', wide: true },
    { header: 'FORWARDING', path: 'forwarding', wide: true },
    { header: 'AFFINITY', path: 'affinitySeconds', as: 'duration', wide: true },
    { header: 'HITS', path: 'hits', as: 'number', wide: true },
    { header: 'HITS BY BACKEND', path: 'backendHits', as: 'hits', wide: true },
    { header: 'FLAGS', path: 'flags', as: 'list', wide: true },
    { header: 'ID', path: 'id', as: 'number', wide: true },
    { header: 'GENERATION', path: 'generation', as: 'number', wide: true },
  ],
};

export const SERVICE_BACKEND_LIST: Noun = {
  kind: 'ServiceBackendList',
  empty: 'No ports.',
  columns: [
    { header: 'PORT', path: 'portName' },
    { header: 'PROTO', path: 'protocol' },
    { header: 'FRONTENDS', path: 'frontends', as: 'tuples', wide: true },
    { header: 'BACKEND', path: 'backend', as: 'tuple' },
    { header: 'NODE', path: 'nodeName' },
    { header: 'ZONE', path: 'zone' },
    { header: 'STATE', path: 'state', colours: { ready: 'green', terminating: 'yellow', 'not ready': 'red' } },
    { header: 'CLUSTER', path: 'used.cluster', as: 'yes' },
    { header: 'LOCAL', path: 'used.local', as: 'yes' },
    { header: 'WHY', path: 'reason' },
    { header: 'HITS', path: 'hits', as: 'number', wide: true },
    { header: 'INTERNAL', path: 'internalTrafficPolicy', wide: true },
    { header: 'EXTERNAL', path: 'externalTrafficPolicy', wide: true },
    { header: 'AFFINITY', path: 'affinityTimeout', as: 'duration', wide: true },
    { header: 'CHOICE', path: 'loadBalancing', wide: true },
    { header: 'FORWARDING', path: 'forwardingMode', wide: true },
    { header: 'SOURCES', path: 'sourceRanges', as: 'list', wide: true },
  ],
};

export const AFFINITY_LIST: Noun = {
  kind: 'AffinityList',
  empty: 'No clients are remembered.',
  columns: [
    { header: 'CLIENT', path: 'client' },
    { header: 'SERVICE', path: 'service', as: 'pod' },
    { header: 'PORT', path: 'portName' },
    { header: 'BACKEND', path: 'backend', as: 'tuple' },
    { header: 'AGE', path: 'ageSeconds', as: 'duration' },
    { header: 'REMAINING', path: 'remainingSeconds', as: 'duration' },
    { header: 'ID', path: 'id', as: 'number', wide: true },
  ],
};

export const LEFTOVER_LIST: Noun = {
  kind: 'LeftoverList',
  empty: 'Nothing is left of an agent.',
  columns: [
    { header: 'KIND', path: 'kind' },
    { header: 'NAME', path: 'name' },
    { header: 'RESULT', path: 'result' },
  ],
};

export const FLOW_LIST: Noun = {
  kind: 'FlowList',
  empty: 'No flows.',
  columns: [
    { header: 'POD', path: 'pod', as: 'pod' },
    { header: 'PROTO', path: 'protocol' },
    { header: 'SOURCE', path: 'source', as: 'tuple' },
    { header: 'DESTINATION', path: 'destination', as: 'tuple' },
    { header: 'LEAVES FROM', path: 'translated.source', as: 'tuple' },
    { header: 'LEAVES TO', path: 'translated.destination', as: 'tuple' },
    { header: 'STATE', path: 'state' },
    { header: 'AGE', path: 'ageSeconds', as: 'duration' },
    { header: 'IDLE', path: 'idleSeconds', as: 'duration' },
    { header: 'PACKETS', path: 'packets', as: 'number' },
    { header: 'BYTES', path: 'bytes', as: 'number' },
    { header: 'REPLY PACKETS', path: 'reply.packets', as: 'number', wide: true },
    { header: 'REPLY BYTES', path: 'reply.bytes', as: 'number', wide: true },
    { header: 'IN', path: 'device.in', as: 'number', wide: true },
    { header: 'OUT', path: 'device.out', as: 'number', wide: true },
    { header: 'NEXT HOP', path: 'nextHop', wide: true },
    { header: 'MTU', path: 'mtu', as: 'number', wide: true },
    { header: 'FLAGS', path: 'flags', as: 'list', wide: true },
  ],
};

export const TRANSLATION_LIST: Noun = {
  kind: 'TranslationList',
  empty: 'No NAT entries.',
  columns: [
    { header: 'POD', path: 'pod', as: 'pod' },
    { header: 'PROTO', path: 'protocol' },
    { header: 'INSIDE', path: 'inside', as: 'tuple' },
    { header: 'OUTSIDE', path: 'outside', as: 'tuple' },
    { header: 'REMOTE', path: 'remote', as: 'tuple' },
    { header: 'STATE', path: 'state' },
    { header: 'AGE', path: 'ageSeconds', as: 'duration' },
    { header: 'PACKETS', path: 'packets', as: 'number' },
    { header: 'BYTES', path: 'bytes', as: 'number' },
    { header: 'TRANSLATES', path: 'translation', wide: true },
    { header: 'FRONTEND', path: 'frontend', as: 'tuple', wide: true },
    { header: 'IDLE', path: 'idleSeconds', as: 'duration', wide: true },
    { header: 'REPLY PACKETS', path: 'reply.packets', as: 'number', wide: true },
    { header: 'REPLY BYTES', path: 'reply.bytes', as: 'number', wide: true },
  ],
};

export const NAT_OWNER_LIST: Noun = {
  kind: 'NatOwnerList',
  empty: 'Nobody.',
  columns: [
    { header: 'OWNER', path: 'owner', as: 'owner' },
    { header: 'UID', path: 'owner.uid' },
    { header: 'NODE', path: 'node' },
    { header: 'PORTS', path: 'ports', as: 'range' },
    { header: 'PROTO', path: 'protocol' },
    { header: 'INSIDE', path: 'inside', as: 'tuple' },
    { header: 'REMOTE', path: 'remote', as: 'tuple' },
    { header: 'STATE', path: 'state' },
    { header: 'SINCE', path: 'since' },
  ],
};

export const MAP_LIST: Noun = {
  kind: 'MapList',
  empty: 'No maps.',
  columns: [
    { header: 'NAME', path: 'name' },
    { header: 'TYPE', path: 'type' },
    { header: 'ID', path: 'id', as: 'number' },
    { header: 'ENTRIES', path: 'entries', as: 'number' },
    { header: 'MAX', path: 'maxEntries', as: 'number' },
    { header: 'USED', path: 'usedPercent', as: 'percent' },
    { header: 'KEY', path: 'keyBytes', as: 'number' },
    { header: 'VALUE', path: 'valueBytes', as: 'number' },
    { header: 'PIN', path: 'pin', wide: true },
  ],
};

export const DROP_LIST: Noun = {
  kind: 'DropList',
  empty: 'No drops.',
  columns: [
    { header: 'REASON', path: 'reason' },
    { header: 'DIRECTION', path: 'direction' },
    { header: 'PACKETS', path: 'packets', as: 'number' },
    { header: 'BYTES', path: 'bytes', as: 'number' },
    { header: 'MEANING', path: 'meaning' },
  ],
};

export const DROP_WATCH: Noun = {
  kind: 'DropList',
  empty: '',
  live: true,
  columns: [
    { header: 'TIME', path: 'time', width: 24 },
    { header: 'REASON', path: 'reason', width: 26 },
    { header: 'DIRECTION', path: 'direction', width: 14 },
    { header: 'NEW PACKETS', path: 'newPackets', as: 'number' },
    { header: 'PACKETS', path: 'packets', as: 'number', width: 12 },
    { header: 'MEANING', path: 'meaning' },
  ],
};

export const SETTING_LIST: Noun = {
  kind: 'SettingList',
  empty: 'No settings.',
  columns: [
    { header: 'NAME', path: 'name' },
    { header: 'VALUE', path: 'value' },
  ],
};

export const SETTING_ORIGIN_LIST: Noun = {
  ...SETTING_LIST,
  columns: [...SETTING_LIST.columns, { header: 'ORIGIN', path: 'origin' }],
};
