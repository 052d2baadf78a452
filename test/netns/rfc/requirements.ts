// Every requirement that the RFC tests are named by, in our words, and where we do something else. docs/rfc.md is made of it.

export type Level = 'MUST' | 'SHOULD' | 'MAY' | 'info';

export interface Requirement {
  /** RFC and number, e.g. `4787-3a`: the first word of its tests' names. */
  readonly id: string;
  readonly text: string;
  /** RECOMMENDED counts as SHOULD, and OPTIONAL as MAY. */
  readonly level: Level;
  /** Why it is not met, and what happens instead: that is what its tests show then. */
  readonly deviation?: string;
  /** Why it does not concern this translator; its tests show that. */
  readonly notApplicable?: string;
  /** What to know about how it is met. */
  readonly remark?: string;
}

export interface Document {
  /** Number and short title. */
  readonly rfc: string;
  readonly title: string;
  readonly requirements: readonly Requirement[];
}

const UDP: readonly Requirement[] = [
  { id: '4787-1', level: 'MUST', text: 'One socket has one outside address and port, whatever it sends to' },
  {
    id: '4787-2',
    level: 'SHOULD',
    text: 'All sockets of a host have the same outside address (pooling "paired")',
  },
  { id: '4787-3', level: 'MUST', text: 'No outside port is shared by two sockets; when none is left, none is given' },
  {
    id: '4787-3a',
    level: 'SHOULD',
    text: 'Ports below 1024 become ports below 1024, the others others',
    deviation:
      "ports below 1024 belong to the node's own servers; every source port becomes one of the NAT ports, all above 1023",
  },
  {
    id: '4787-4',
    level: 'SHOULD',
    text: 'Even ports become even ones, odd ports odd ones',
    deviation: 'parity is not promised (RFC 7857 section 8 makes that an option); no port is passed over to keep it',
  },
  { id: '4787-5', level: 'MUST', text: 'A mapping lives for two minutes at least without traffic' },
  {
    id: '4787-5a',
    level: 'MAY',
    text: 'Mappings towards well-known ports may live shorter',
    remark: '30 s to remote ports below 1024, configurable',
  },
  { id: '4787-5b', level: 'MAY', text: 'The time that a mapping lives is configurable' },
  {
    id: '4787-5c',
    level: 'SHOULD',
    text: 'By default a mapping lives for five minutes or more',
    deviation: 'five minutes once a remote has answered, two minutes before that; both are configurable',
  },
  {
    id: '4787-6',
    level: 'MUST',
    text: 'What the pod sends keeps its mapping alive, also what it sends to a new remote',
  },
  {
    id: '4787-6a',
    level: 'MAY',
    text: 'What comes in keeps a mapping alive',
    remark: 'only from whom the filtering admits',
  },
  {
    id: '4787-7',
    level: 'MUST',
    text: 'Inside and outside addresses that are numerically the same do not break anything: they are kept apart, or translated',
    remark:
      'kept apart: a node whose address lies inside the pod CIDRs is refused with a reason. An outside host inside them cannot be reached',
  },
  {
    id: '4787-8',
    level: 'SHOULD',
    text: 'Filtering is endpoint-independent, or address-dependent where strictness matters more',
    remark: 'address-dependent by default',
  },
  { id: '4787-8a', level: 'MAY', text: 'The filtering is configurable', remark: 'all three kinds' },
  { id: '4787-9', level: 'MUST', text: 'Two hosts inside reach each other by their outside addresses and ports' },
  { id: '4787-9a', level: 'MUST', text: 'Then each sees the outside address and port of the other' },
  { id: '4787-10', level: 'SHOULD', text: 'Nothing looks into payloads (no application gateways)' },
  { id: '4787-11', level: 'MUST', text: 'Translation and filtering do not change with load or time' },
  { id: '4787-12', level: 'MUST', text: 'No ICMP message ends a mapping' },
  { id: '4787-12a', level: 'SHOULD', text: 'ICMP errors are not filtered by who sends them' },
  { id: '4787-12b', level: 'SHOULD', text: 'ICMP "destination unreachable" is translated' },
  {
    id: '4787-13',
    level: 'MUST',
    text: 'A packet too large for the next link that may not be cut is answered with "fragmentation needed"',
  },
  { id: '4787-13a', level: 'MUST', text: 'One that may be cut is cut, and its fragments leave in order' },
  { id: '4787-14', level: 'MUST', text: 'Fragments are translated in whatever order they arrive' },
  {
    id: '4787-14a',
    level: 'MUST',
    text: 'A flood of fragments does not hinder unfragmented traffic, nor fragments in order',
  },
];

const TCP: readonly Requirement[] = [
  {
    id: '5382-1',
    level: 'MUST',
    text: 'One socket has one outside address and port for all its connections',
    deviation:
      'by default remotes share a port (RFC 7857 section 3 allows it; the block then serves many times its size). `tcpMapping: EndpointIndependent` switches it on',
  },
  { id: '5382-2', level: 'MUST', text: 'Every valid sequence of TCP segments passes, in both directions' },
  { id: '5382-2a', level: 'MUST', text: 'Also the simultaneous open of both sides' },
  {
    id: '5382-3',
    level: 'SHOULD',
    text: 'Filtering is endpoint-independent, or address-dependent where strictness matters more',
    remark: 'of endpoint-independent mappings; a port shared by remotes admits those that were connected to',
  },
  { id: '5382-3a', level: 'MAY', text: 'The filtering is configurable' },
  {
    id: '5382-3b',
    level: 'MAY',
    text: "TCP's filtering may differ from UDP's",
    deviation: 'one setting serves both protocols',
  },
  { id: '5382-4', level: 'MUST', text: 'A SYN that nobody asked for is not answered for six seconds at least' },
  {
    id: '5382-4a',
    level: 'MAY',
    text: 'After that it may be answered with "port unreachable", or be dropped in silence by policy',
    remark: 'dropped in silence, and counted: who scans NAT ports learns nothing',
  },
  {
    id: '5382-5',
    level: 'MUST',
    text: 'An idle established connection is kept for 2 hours and 4 minutes, a transitory one for 4 minutes',
  },
  { id: '5382-5a', level: 'MAY', text: 'Both times are configurable' },
  { id: '5382-6', level: 'SHOULD', text: 'Application gateways are off' },
  { id: '5382-7', level: 'MUST', text: 'No outside port is shared by two connections to the same remote' },
  {
    id: '5382-8',
    level: 'MUST',
    text: 'Two hosts inside connect by their outside addresses and ports',
    remark: 'where mappings are endpoint-independent (5382-1); a port that remotes share has no one owner to all',
  },
  { id: '5382-8a', level: 'MUST', text: 'Then each sees the outside address and port of the other' },
  { id: '5382-9', level: 'SHOULD', text: 'ICMP "destination unreachable" about a connection is translated' },
  { id: '5382-10', level: 'MUST', text: 'No ICMP message ends a mapping or a connection' },
];

const ICMP: readonly Requirement[] = [
  { id: '5508-1', level: 'MUST', text: 'Queries of a host inside, and their answers, pass' },
  {
    id: '5508-1a',
    level: 'SHOULD',
    text: 'The identifier of a query is mapped to the same one for all remotes',
    deviation:
      'each remote has a session of its own, and may see another identifier; nothing that is addressed to a pod by its identifier is let in',
  },
  { id: '5508-2', level: 'MUST', text: 'A query session lives for 60 seconds at least' },
  { id: '5508-2a', level: 'SHOULD', text: 'How long is configurable' },
  {
    id: '5508-3',
    level: 'SHOULD',
    text: 'An ICMP error whose own checksum is wrong is dropped',
    deviation: 'it is forwarded with a checksum that is wrong by as much, so that its receiver drops it',
  },
  { id: '5508-3a', level: 'SHOULD', text: 'An ICMP error that quotes an IP header with a wrong checksum is dropped' },
  { id: '5508-3b', level: 'MUST', text: 'IP options of the quoted packet are passed over' },
  { id: '5508-3c', level: 'SHOULD', text: 'The transport checksum of the quoted packet is not looked at' },
  { id: '5508-3d', level: 'MUST', text: 'ICMP extensions behind the quoted packet do not count as part of it' },
  {
    id: '5508-4',
    level: 'SHOULD',
    text: 'An ICMP error from outside about nothing that is mapped is dropped in silence',
  },
  { id: '5508-4a', level: 'MUST', text: 'In one from outside, the quoted headers become what the pod once sent' },
  { id: '5508-4b', level: 'MUST', text: 'Its type and code stay' },
  { id: '5508-4c', level: 'MUST', text: 'It is sent to the source of the quoted packet' },
  {
    id: '5508-5',
    level: 'SHOULD',
    text: 'An ICMP error from inside about nothing that is mapped is dropped in silence',
  },
  { id: '5508-5a', level: 'MUST', text: 'In one from inside, the quoted headers become what the remote once sent' },
  { id: '5508-5b', level: 'MUST', text: 'Its type and code stay' },
  { id: '5508-5c', level: 'MUST', text: 'It leaves with the outside address' },
  { id: '5508-6', level: 'MUST', text: 'An ICMP error neither refreshes nor ends the query session that it is about' },
  {
    id: '5508-7',
    level: 'MUST',
    text: 'ICMP errors pass between two hosts inside that use their outside addresses',
    remark:
      'queries to the outside address are answered by the node; that they reach a pod is asked of one-to-one translation only',
  },
  { id: '5508-7a', level: 'MUST', text: 'They are sent to the source of the quoted packet' },
  {
    id: '5508-8',
    level: 'SHOULD',
    text: 'What cannot be translated for want of resources is dropped and answered with ICMP 3/13',
    remark: 'with IPv6: type 1, code 1',
  },
  {
    id: '5508-9',
    level: 'MAY',
    text: 'ICMP messages towards some interfaces may be suppressed by policy',
    notApplicable: 'there is no such policy: both sides are answered, at most 1000 times a second for one reason',
  },
  {
    id: '5508-10a',
    level: 'MUST',
    text: '"Destination unreachable", "time exceeded" and echo are supported, passed on and sent',
  },
  {
    id: '5508-10b',
    level: 'MAY',
    text: '"Parameter problem", redirects, timestamps and others may be supported',
    remark: '"parameter problem" is translated; the others are dropped and counted',
  },
  { id: '5508-10c', level: 'SHOULD', text: 'Source quench and information requests are not supported' },
  { id: '5508-11', level: 'MAY', text: 'ICMP messages that are neither queries nor errors may be dropped' },
];

const UPDATES: readonly Requirement[] = [
  {
    id: '7857-2.1',
    level: 'SHOULD',
    text: 'The idle times of opening and of closing connections are separate settings',
  },
  { id: '7857-2.1a', level: 'SHOULD', text: 'Both are four minutes or more by default' },
  { id: '7857-2.1b', level: 'SHOULD', text: 'A connection that one side has closed is kept like an open one' },
  { id: '7857-2.2', level: 'MUST', text: 'A reset of a known connection is translated' },
  { id: '7857-2.2a', level: 'SHOULD', text: 'After a reset the connection is kept for four minutes' },
  { id: '7857-3', level: 'MAY', text: 'Connections to different remotes share an outside port' },
  { id: '7857-4', level: 'SHOULD', text: 'A host has the same outside address with all protocols' },
  {
    id: '7857-5',
    level: 'SHOULD',
    text: 'Endpoint-independent mappings are those of one protocol: others do not share them',
  },
  {
    id: '7857-6',
    level: 'SHOULD',
    text: "Endpoint-independent filtering admits packets of the mapping's protocol only",
  },
  { id: '7857-7', level: 'SHOULD', text: 'An incoming packet that is filtered does not refresh the mapping' },
  {
    id: '7857-7.1',
    level: 'SHOULD',
    text: 'ICMP errors and resets that answer incoming packets do not refresh the mapping',
  },
  { id: '7857-8', level: 'MAY', text: 'Port parity may be left out' },
  { id: '7857-9', level: 'SHOULD', text: 'The choice of outside ports cannot be guessed (RFC 6056)' },
  {
    id: '7857-10',
    level: 'SHOULD',
    text: 'The IP identification of fragments is unique behind an outside address (RFC 6864 section 5.3.1)',
    deviation:
      "identifications stay what pods chose. Two pods that send fragments with the same one to the same remote within the time that it waits for the rest can spoil each other's datagram; its checksum tells",
  },
  { id: '7857-11', level: 'MAY', text: 'The mapping of a query goes with the last session that uses it' },
];

const CARRIER: readonly Requirement[] = [
  {
    id: '6888-1',
    level: 'MUST',
    text: 'A protocol that is translated is translated as its own requirements say; others are not forwarded',
  },
  { id: '6888-2', level: 'MUST', text: 'A subscriber (a pod) has one outside address by default' },
  { id: '6888-3', level: 'MUST', text: 'Any set of outside addresses can be configured, contiguous or not' },
  {
    id: '6888-4',
    level: 'MUST',
    text: 'The ports of one subscriber are limited',
    remark: "by the pod's blocks; all protocols and ICMP identifiers count by the same block",
  },
  { id: '6888-4a', level: 'MUST', text: 'The limit is configurable' },
  { id: '6888-4n', level: 'MUST', text: 'A namespace is a subscriber, too: its pods together are limited' },
  { id: '6888-5', level: 'SHOULD', text: 'The state that one subscriber may occupy is limited' },
  { id: '6888-6', level: 'MUST', text: 'Translation can be switched off for destinations' },
  {
    id: '6888-7',
    level: 'SHOULD',
    text: 'Filtering is endpoint-independent',
    deviation: 'address-dependent by default, as RFC 4787 allows; `filtering: EndpointIndependent` switches it on',
  },
  { id: '6888-8', level: 'SHOULD', text: 'A port rests for 120 seconds before somebody else gets it' },
  {
    id: '6888-9',
    level: 'MUST',
    text: 'Subscribers control their mappings by a protocol, such as PCP',
    deviation: 'no PCP. A port of the node or of an address is opened by a Service object, beside the mappings',
  },
  {
    id: '6888-10',
    level: 'SHOULD',
    text: 'It can be managed',
    remark: "by the command line and the agent's socket, as tables and JSON; no SNMP",
  },
  { id: '6888-11a', level: 'MUST', text: 'A packet that no mapping can be made for is dropped' },
  {
    id: '6888-11b',
    level: 'SHOULD',
    text: 'Its sender gets an ICMP "destination unreachable"',
    remark: 'with code 13, as RFC 5508 REQ-8 wants, where this RFC names code 1',
  },
  { id: '6888-11c', level: 'SHOULD', text: 'The operator is told' },
  { id: '6888-11d', level: 'MUST', text: 'No mapping that lives is removed to make room' },
  { id: '6888-12', level: 'SHOULD', text: 'Destinations are not logged' },
  { id: '6888-13', level: 'SHOULD', text: 'As many ports as possible can be used' },
  { id: '6888-14', level: 'SHOULD', text: 'Little is logged' },
  { id: '6888-15', level: 'SHOULD', text: 'Ports are hard to guess' },
];

const OTHERS: readonly Document[] = [
  {
    rfc: '7422',
    title: 'Deterministic address mapping to reduce logging',
    requirements: [
      {
        id: '7422-1',
        level: 'info',
        text: 'The ports of a subscriber follow from its address by a formula, so that no log is needed',
        deviation:
          'blocks are given in an order made with a secret key, so no formula tells; a journal of block grants, some hundred bytes a pod and nothing for flows, answers without the agent for every moment',
      },
    ],
  },
  {
    rfc: '6056',
    title: 'Port randomization',
    requirements: [
      { id: '6056-4', level: 'SHOULD', text: 'A translator that changes ports chooses those that others cannot guess' },
    ],
  },
  {
    rfc: '6296',
    title: 'IPv6-to-IPv6 prefix translation',
    requirements: [
      {
        id: '6296-1',
        level: 'MUST',
        text: 'Prefixes are translated without state, neutral to checksums, and hairpinned',
        notApplicable: 'no prefix is translated: an island of IPv6 is translated by ports, like one of IPv4',
      },
    ],
  },
  {
    rfc: '8158',
    title: 'IPFIX elements for NAT events',
    requirements: [
      {
        id: '8158-1',
        level: 'info',
        text: 'Events of port blocks are exported with the names of IPFIX information elements',
        remark: 'as JSON; not in the binary encoding of RFC 7011',
      },
    ],
  },
  {
    rfc: '9693',
    title: 'Benchmarking of stateful NAT gateways (with RFC 2544)',
    requirements: [
      {
        id: '9693-1',
        level: 'info',
        text: 'Throughput, connections a second, teardown and the capacity for state are published',
        deviation: "tests measure no time; `isthmus bench` measures, side by side with the kernel's own translation",
      },
    ],
  },
];

export const DOCUMENTS: readonly Document[] = [
  { rfc: '4787', title: 'UDP', requirements: UDP },
  { rfc: '5382', title: 'TCP', requirements: TCP },
  { rfc: '5508', title: 'ICMP', requirements: ICMP },
  { rfc: '7857', title: 'Updates of the three', requirements: UPDATES },
  { rfc: '6888', title: 'Carrier-grade NAT', requirements: CARRIER },
  ...OTHERS,
];
