// One sentence for each drop reason: what happened to the packet, and where to look.

/** By the name in enum drop_reason. */
export const DROP_MEANINGS: Readonly<Record<string, string>> = {
  DROP_NONE: 'Not a drop.',
  DROP_TRUNCATED: 'The packet ends before its headers do.',
  DROP_MALFORMED: 'A header contradicts itself: version, length or header length.',
  DROP_UNSUPPORTED_PROTOCOL:
    'The transport protocol has no ports to translate: only TCP, UDP, SCTP and ICMP leave an island, and no fragment of SCTP whose port would change.',
  DROP_UNSUPPORTED_ETHERTYPE: 'The frame is neither IPv4, IPv6 nor ARP.',
  DROP_SPOOFED: 'The pod sent from an address that is not its own.',
  DROP_NOT_ROUTABLE: 'The destination is never forwarded: multicast, loopback or link-local.',
  DROP_NO_ROUTE: 'There is no route to the destination; the sender was told "unreachable". See `isthmus route list`.',
  DROP_NO_ENDPOINT:
    'The address belongs to the pods of this node, but no pod has it; the sender was told "unreachable". See `isthmus endpoint list`.',
  DROP_NO_BACKEND: 'The service has no ready backend; the connection was refused. See `isthmus service list`.',
  DROP_NO_FLOW: 'A packet for a translated port that no flow owns: a late answer, a scan, or a flow that timed out.',
  DROP_PORTS_EXHAUSTED:
    'Every port of the pod is in use towards this remote, and it gets no further block; `isthmus nat stats` names pod and remote.',
  DROP_FLOW_TABLE_FULL:
    'No room for a new flow; established flows go on. See `isthmus map list` and `isthmus flow list`.',
  DROP_NO_PORT_BLOCK: 'The pod owns no ports of the translation address, so it cannot leave the island.',
  DROP_TTL_EXCEEDED: 'TTL or hop limit reached zero; the sender was told "time exceeded". A loop, or a traceroute.',
  DROP_TOO_BIG:
    'The packet is larger than the MTU of its next hop and must not be cut; the sender was told "packet too big".',
  DROP_FRAGMENT_MISS: 'A later fragment came without its first one, which carries the ports.',
  DROP_ICMP_ERROR_NO_FLOW: 'An ICMP error about a flow that does not exist.',
  DROP_ICMP_UNSUPPORTED: 'An ICMP message of a type that cannot be translated.',
  DROP_REWRITE_FAILED: 'The kernel refused to change the packet; it was not sent untranslated.',
  DROP_NEIGHBOUR_UNKNOWN: 'A pod asked by ARP or ND for an address that is not its gateway.',
  DROP_WRONG_DEVICE: 'A packet of a flow arrived at a device where the flow does not live: spoofed, or rerouted.',
  DROP_IP_OPTIONS: 'IPv4 options or IPv6 extension headers that are not forwarded.',
  DROP_FILTERED:
    'A packet to a translated port from a remote that its pod has not sent to; see `filtering` in the ClusterNetwork.',
  DROP_FRAGMENT_LIMIT:
    'A fragment out of order, of a sender with too many incomplete datagrams; fragments in order pass. See docs/fragments.md.',
  DROP_DETOUR_STRAY: 'Something else than a fragment came back from the namespaces that put fragments in order.',
  DROP_PORT_BLOCK_WANTED:
    'Every port of the pod was in use, and the agent was asked for another block: the next try of the pod succeeds.',
  DROP_FLOW_LIMIT:
    'The pod has as many open flows as one pod may (spec.nat.flowsPerPod); `isthmus nat stats` shows how many.',
  DROP_FLOW_PRESSURE:
    'The flow table is nearly full, and the sender has too many flows that nobody answers, or a quarter of the table.',
  DROP_NO_LOCAL_BACKEND:
    'The traffic policy is Local and only other nodes have backends: dropped in silence, so that the client tries there.',
  DROP_SOURCE_RANGE:
    "A load balancer address was used from outside its Service's loadBalancerSourceRanges; in silence.",
  DROP_NO_SERVICE:
    'In a service CIDR: a port that the cluster IP does not have (refused), or an address of no Service (in silence).',
  DROP_TUNNEL_SOURCE:
    'A packet inside another one, to a pod of this node, from outside and not from a node of the cluster.',
  DROP_NO_DIRECT_BACKEND:
    'Handed over by another node (direct return), but the pod is not behind that frontend here: the nodes may disagree for a moment.',
};

/** The sentence of a reason; a datapath newer than this program may have reasons without one. */
export function dropMeaning(reason: string): string {
  return DROP_MEANINGS[reason] ?? 'A reason that this version of isthmus does not know.';
}
