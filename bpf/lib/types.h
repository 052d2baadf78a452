/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every struct and enum that the kernel side shares with user space, and nothing else. */
#ifndef ISTHMUS_TYPES_H
#define ISTHMUS_TYPES_H

/*
 * The only place where a shared layout is written: user space reads it from BTF.
 * Typedef names carry meaning for the decoder: __be16 is network order, ip_addr and
 * mac_addr print as text. Every hole is an explicit pad, because keys are compared
 * byte by byte.
 */

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
typedef struct {
	union {
		__u8 bytes[16];
		__be32 words[4];
		__u64 halves[2];
	};
} ip_addr;

typedef struct {
	__u8 bytes[6];
} mac_addr;

/* Seconds of the kernel's monotonic clock (CLOCK_MONOTONIC). */
typedef __u32 seconds;

enum family {
	FAMILY_IPV4 = 0,
	FAMILY_IPV6 = 1,
	FAMILY_COUNT = 2,
};

/* Named by where the packet comes from or goes to, seen from the node. */
enum direction {
	DIRECTION_FROM_CONTAINER = 0,
	DIRECTION_FROM_NETDEV = 1,
};

/* Why a packet was dropped. The comment of each value is its line in docs/drop-reasons.md. */
enum drop_reason {
	DROP_NONE = 0, /* not a drop */
	DROP_TRUNCATED = 1, /* the packet ends before its headers do */
	DROP_MALFORMED = 2, /* a header contradicts itself: version, length or header length */
	DROP_UNSUPPORTED_PROTOCOL = 3, /* a protocol, or a fragment of SCTP, not to be translated */
	DROP_UNSUPPORTED_ETHERTYPE = 4, /* neither IPv4, IPv6 nor ARP */
	DROP_SPOOFED = 5, /* the pod sent from an address that is not its own */
	DROP_NOT_ROUTABLE = 6, /* a destination never forwarded: multicast, loopback, link-local */
	DROP_NO_ROUTE = 7, /* no route to the destination: answered with "unreachable" */
	DROP_NO_ENDPOINT = 8, /* a pod address of this node that no pod has; "unreachable" */
	DROP_NO_BACKEND = 9, /* a service without a ready backend; reset or "unreachable" */
	DROP_NO_FLOW = 10, /* addressed to a translated port, but no flow owns it */
	DROP_PORTS_EXHAUSTED = 11, /* no port of the pod's blocks is free towards this remote */
	DROP_FLOW_TABLE_FULL = 12, /* no room for a new flow; established flows are not affected */
	DROP_NO_PORT_BLOCK = 13, /* the pod owns no port block of the translation address */
	DROP_TTL_EXCEEDED = 14, /* TTL or hop limit reached zero: answered with "time exceeded" */
	DROP_TOO_BIG = 15, /* larger than the next hop's MTU, not to be cut; "packet too big" */
	DROP_FRAGMENT_MISS = 16, /* a later fragment whose first fragment was not seen */
	DROP_ICMP_ERROR_NO_FLOW = 17, /* an ICMP error about a flow that does not exist */
	DROP_ICMP_UNSUPPORTED = 18, /* an ICMP message that cannot be translated */
	DROP_REWRITE_FAILED = 19, /* the kernel refused to change the packet */
	DROP_NEIGHBOUR_UNKNOWN = 20, /* a pod's ARP or ND for an address not its gateway's */
	DROP_WRONG_DEVICE = 21, /* a flow's packet at a device where the flow does not live */
	DROP_IP_OPTIONS = 22, /* IPv4 options or IPv6 extension headers that are not forwarded */
	DROP_FILTERED = 23, /* to a mapped port, from a remote that its pod has not sent to */
	DROP_FRAGMENT_LIMIT = 24, /* a fragment out of order, its sender has too many incomplete */
	DROP_DETOUR_STRAY = 25, /* what came back from the detour of fragments is none of them */
	DROP_PORT_BLOCK_WANTED = 26, /* no port is free; a block is on its way: try again */
	DROP_FLOW_LIMIT = 27, /* the pod has as many open flows as one pod may have */
	DROP_FLOW_PRESSURE = 28, /* the table is nearly full, and much of it is the sender's own */
	DROP_NO_LOCAL_BACKEND = 29, /* policy Local, and only other nodes have backends; silent */
	DROP_SOURCE_RANGE = 30, /* the load balancer address is not for this client; silent */
	DROP_NO_SERVICE = 31, /* no such port of a cluster IP: refused; or no such cluster IP */
	DROP_TUNNEL_SOURCE = 32, /* a packet in a packet to a pod, not from a node of the cluster */
	DROP_NO_DIRECT_BACKEND = 33, /* handed over by a node, to a pod that is no such backend */
};

/* --- what the agent writes -------------------------------------------------------- */

enum endpoint_flags {
	ENDPOINT_HOST = 1, /* the node itself: its packets go to the host's network stack */
	ENDPOINT_MAY_GROW = 2, /* gets another port block when it asks for one */
	ENDPOINT_LIMITED = 4, /* what it receives waits in the queue of its device */
	/* Its device is another plugin's: what is not translated goes by the host's stack. */
	ENDPOINT_CHAINED = 8,
};

enum endpoint_limits {
	ENDPOINT_BLOCKS_MAX = 16, /* a power of two */
};

/*
 * Who owns an address of this node: a pod, or the node. Key: ip_addr.
 * The port blocks say from which ports of nat_address its packets leave the island.
 */
struct endpoint {
	__u32 ifindex; /* host side of the pod's veth; 0 for the node itself */
	__u32 flags; /* enum endpoint_flags */
	mac_addr mac; /* of the pod's own device */
	__u16 mtu; /* of the pod's device, bytes; 0 for the node itself */
	__u16 block_size; /* ports of each block */
	__u16 block_count; /* 0: owns no block */
	__u8 pad[4];
	ip_addr nat_address; /* unspecified (::) when the node has no address of the family */
	__u16 blocks[ENDPOINT_BLOCKS_MAX]; /* their first ports, host order */
};

enum route_type {
	ROUTE_NODE = 1, /* pods of another node: next_hop is that node's address */
	/* Never translated: the host's routing table decides. Of a node's address, next_hop is the
	 * one that it sends from. */
	ROUTE_NATIVE = 2,
	ROUTE_UNREACHABLE = 3, /* inside the cluster, but no node owns it */
};

/* The trie compares what follows prefix_length bit by bit: a hole there would count as address. */
struct route_key {
	__u32 prefix_length; /* 0..128; an IPv4 /24 is 120 */
	ip_addr prefix;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct route_key) == 20, "a hole in the key of a trie");

struct route {
	__u32 type; /* enum route_type */
	ip_addr next_hop;
};

struct service_key {
	ip_addr address;
	__be16 port;
	__u8 protocol;
	__u8 pad[5];
};

/* Whose packets: for one frontend, each may have other backends (internal and external policy). */
enum scope {
	SCOPE_INTERNAL = 0, /* of this node's pods and processes */
	SCOPE_EXTERNAL = 1, /* from the wire */
	SCOPE_COUNT = 2,
};

/* What packets of one scope use. A service and a generation name a set of backends. */
struct backend_set {
	__u32 generation;
	__u32 backend_count; /* 0: refused, or dropped where SERVICE_DROP_* says so */
};

enum service_flags {
	SERVICE_DROP_INTERNAL = 1, /* scope internal has no backend here, but others do: silent */
	SERVICE_DROP_EXTERNAL = 2,
	SERVICE_SOURCE_RANGES = 4, /* only for clients in `source_ranges` */
	SERVICE_MAGLEV = 8, /* the choice is in `maglev`, the same on every node */
	SERVICE_SERVING = 16, /* `serving` lists who answers: UDP flows to others may go */
	SERVICE_ADDRESS = 32, /* no frontend: other ports of this cluster IP are refused */
	SERVICE_DIRECT = 64, /* from outside to another node's pod: handed over, answered by that */
};

/* A frontend. One write of this value switches both scopes to new sets of backends. */
struct service {
	__u32 id; /* of the service port in its family: all of its frontends have it */
	__u32 flags; /* enum service_flags */
	seconds affinity; /* a client keeps its backend so long after its last connection; 0: no */
	struct backend_set sets[SCOPE_COUNT]; /* by enum scope */
};

struct backend_key {
	__u32 service_id;
	__u32 generation;
	__u32 slot; /* 0 .. backend_count - 1 */
};

struct backend {
	ip_addr address;
	__be16 port;
	__u16 pad;
};

enum maglev_limits {
	MAGLEV_SLOTS = 16381, /* a prime; the same for every set, so that a change moves little */
	MAGLEV_CHUNK = 512,
};

struct maglev_key {
	__u32 service_id;
	__u32 generation;
	__u32 chunk; /* of the lookup table: hash % MAGLEV_SLOTS / MAGLEV_CHUNK */
};

/* A piece of a set's lookup table: slots of its backends. */
struct maglev_chunk {
	__u16 slots[MAGLEV_CHUNK];
};

/* Who may use the load balancer addresses of a service. */
struct source_range_key {
	__u32 prefix_length; /* 32 for the id, and 0..128 of the address */
	__u32 service_id;
	ip_addr prefix;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct source_range_key) == 24, "a hole in the key of a trie");

/* Present: this backend of a UDP service answers, whatever policies and hints say. */
struct serving_key {
	ip_addr address;
	__u32 service_id;
	__be16 port;
	__u16 pad;
};

/*
 * A frontend of a service with direct return, and a pod of this node behind it. What another node
 * has chosen the pod for names no port of it. The node ports of all nodes have the address ::.
 */
struct direct_key {
	ip_addr pod;
	ip_addr address;
	__be16 port;
	__u8 protocol;
	__u8 pad[5];
};

struct direct_backend {
	__be16 port; /* of the pod */
	__u16 pad;
};

/* --- what the kernel writes ------------------------------------------------------- */

struct affinity_key {
	ip_addr client;
	__u32 service_id;
	__u32 pad;
};

/* A backend as one service has it, whatever sets it is in. */
struct hit_key {
	ip_addr address;
	__u32 service_id;
	__be16 port;
	__u16 pad;
};

struct hit_counter {
	__u64 connections; /* new ones: flows, and sockets that were given the backend */
};

/* Where a client's last connection to a service went. */
struct affinity {
	ip_addr address; /* of the backend */
	__be16 port;
	__u16 pad;
	__u32 slot; /* where the set of then had it */
	seconds seen; /* when it began */
	__u32 pad0;
};

/* One direction of a flow, as its packets look when they reach the node. ICMP echo: the
 * identifier is the sender's port (source of a request, destination of a reply), the other is 0. */
struct flow_key {
	ip_addr source;
	ip_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
};

enum flow_flags {
	FLOW_REPLY = 1, /* this entry serves the packets that answer the first one */
	FLOW_REWRITE_SOURCE = 2,
	FLOW_REWRITE_DESTINATION = 4,
	FLOW_TO_CONTAINER = 8, /* leaves to a pod of this node; otherwise by the uplink */
	FLOW_SEEN_REPLY = 16, /* who was addressed has answered; TCP: with SYN */
	FLOW_FIN_ORIGINAL = 32, /* TCP FIN seen from the side that opened */
	FLOW_FIN_REPLY = 64, /* TCP FIN seen from the side that answered */
	FLOW_RESET = 128, /* TCP RST seen, and nothing but RST and SYN since */
	FLOW_HAS_TIMESTAMP = 256, /* reply entry: `timestamp` is known */
	FLOW_RESET_VALID = 512, /* the RST was a pod's, or its numbers fit: the port is free */
	FLOW_INBOUND = 1024, /* a remote began it, by a mapped port: its reply is the pod's */
	FLOW_TO_HOST = 2048, /* to a process of this node; what it answers has ifindex_in 0 */
	FLOW_ENCAPSULATE = 4096, /* leaves unchanged, in a packet to the pod `destination` */
	FLOW_AWAITED = 8192, /* of these, TCP: the opener has not shown yet that it was answered */
	FLOW_LIMITED = 16384, /* with FLOW_TO_CONTAINER: to a pod with ENDPOINT_LIMITED */
};

/*
 * All that a packet of an established flow needs, in one map access. A flow is two entries,
 * one a direction; each entry's pair is found by reversing the rewritten tuple.
 * Inserting the reply entry is what reserves the translated port. SCTP has no numbers of bytes: it
 * keeps in `sequence` the tag that a direction's sender has announced, and in `acknowledged` the
 * tag that the direction's packets carry.
 */
struct flow {
	ip_addr source; /* the packet leaves with these */
	ip_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 ifindex_in; /* the only device where packets of this entry are accepted */
	__u32 ifindex_out;
	ip_addr next_hop; /* of the uplink */
	mac_addr mac; /* of the pod, with FLOW_TO_CONTAINER */
	__u16 mtu; /* of the way out, bytes */
	__u32 flags; /* enum flow_flags; both entries have the same connection state */
	seconds seen; /* last packet that keeps the flow alive; see docs/flow-state.md */
	seconds created;
	seconds resolved; /* when next_hop was last looked up */
	__u32 shift; /* added to the timestamps that the pod sends, taken off their echoes */
	__u32 timestamp; /* reply entry: newest TSval that left by this port, when closing */
	__u32 sequence; /* reply entry: the sequence number after it; the other: after its SYN */
	__u32 clock; /* reply entry: when, milliseconds of the monotonic clock */
	__u32 acknowledged; /* TCP: by this direction, as of the first packet of a second */
	__u64 packets;
	__u64 bytes; /* of IP packets */
};

enum way_limits {
	WAY_SLOTS = 4096,
};

/* How untranslated packets of one tuple leave, as it was decided in this second. */
struct way {
	struct flow_key key;
	__u32 ifindex_in;
	__u32 ifindex_out;
	ip_addr next_hop;
	__u16 mtu; /* bytes */
	__u16 pad;
	seconds resolved;
};

/*
 * The flows of one device, by whose first packet they began: a pod's, or the uplink for those from
 * outside. Kept as flows change, and put right by the walk that removes dead ones.
 */
struct flow_count {
	__u32 open; /* not closed */
	__u32 unanswered; /* of them */
	__u32 closed; /* remembered until their timeout, or until their port is used again */
	__u32 walk_open; /* the same, as far as the present walk has come */
	__u32 walk_unanswered;
	__u32 walk_closed;
	__u64 refused; /* first packets, by DROP_FLOW_LIMIT and DROP_FLOW_PRESSURE */
};

/* How full the flow table is. */
struct flow_total {
	__u32 entries;
	__u32 pad;
};

enum admission_limits {
	PRESSURE_TENTHS = 9, /* of the table: what is above is not for everybody */
	PRESSURE_SHARE = 4, /* under pressure nobody adds to more than this part of the table */
};

enum nat_histogram {
	NAT_PROBE_BUCKETS = 16,
};

/* What the choice of ports came to, on one CPU. */
struct nat_counter {
	__u64 created; /* translated flows with a port of their own */
	__u64 reused; /* of them: by a port whose last flow is remembered as closed */
	__u64 shifted; /* of them: with timestamps moved, because no port's record was older */
	__u64 forced; /* of them: that the server may refuse once, because nothing else was left */
	__u64 exhausted; /* refused: every port has a living flow towards this remote */
	__u64 probes[NAT_PROBE_BUCKETS]; /* flows by ports looked at: 1, 2, 3-4, 5-8, ... */
};

/* Why the agent is told of a pod's ports. */
enum shortage_kind {
	SHORTAGE_NEAR = 1, /* the search had to look at many ports */
	SHORTAGE_WAITING = 2, /* a packet was dropped; its next try finds a new block */
	SHORTAGE_REFUSED = 3, /* a packet was refused: no port is free, and no block will come */
};

enum shortage_limits {
	SHORTAGE_NEAR_PROBES = 64, /* ports looked at, or a quarter of all, when they are fewer */
	SHORTAGE_ASK_MS = 100, /* between two events that ask for a block of one pod and family */
	SHORTAGE_PATIENCE = 3, /* seconds without a block: no agent is there to give one */
	SHORTAGE_FORGET = 10, /* seconds without want: the next one is waited for anew */
};

struct shortage_key {
	__u32 ifindex; /* of the pod's device; 0 for the node itself */
	__u32 family; /* enum family */
};

/* How often a pod found no port in one family. */
struct shortage {
	__u64 waiting; /* packets dropped while the agent was asked for a block */
	__u64 refused; /* packets refused */
	ip_addr remote; /* of the last of them */
	__be16 remote_port;
	__u8 protocol;
	__u8 pad;
	seconds since; /* when the agent was first asked for what has not come yet */
	seconds last; /* last want */
	seconds told; /* last event of a refusal */
	__u32 asked; /* last event that asked: milliseconds of the monotonic clock */
	__u32 blocks; /* that the pod had at `since` */
};

/* What a mapping entry says. */
enum mapping_side {
	MAPPING_INSIDE = 1, /* a pod's own address and port: which outside port it has */
	MAPPING_OUTSIDE = 2, /* a translated address and port: which pod's it is */
	MAPPING_CONTACT = 3, /* a translated address and port has sent to this remote address */
};

/* Endpoint-independent mapping (RFC 4787 REQ-1): one outside port for a socket's remotes. */
struct mapping_key {
	ip_addr address;
	ip_addr remote; /* of a contact; otherwise :: */
	__be16 port;
	__u8 protocol;
	__u8 side; /* enum mapping_side */
	__be16 remote_port; /* of a contact, where the filtering looks at ports; otherwise 0 */
	__u8 pad[2];
};

struct mapping {
	ip_addr address; /* the other side's */
	__be16 port;
	__u16 pad;
	seconds expires; /* when the last of its flows will be dead, as far as is known */
};

/* A socket that speaks to a frontend: which backend its packets really have, from the first on. */
struct socket_peer {
	ip_addr frontend; /* what the program asked for, and what it is told it speaks to */
	ip_addr backend; /* the frontend itself: its packets are translated, not the socket */
	__be16 frontend_port;
	__be16 backend_port; /* 0: none was found */
	__u32 more; /* 1: has further peers in `datagram_peers`; only a UDP socket without connect
		     */
};

/* By which side a peer is found. */
enum peer_side {
	PEER_FRONTEND = 1,
	PEER_BACKEND = 2,
};

struct datagram_peer_key {
	__u64 cookie; /* of the socket */
	ip_addr address;
	__be16 port;
	__u8 side; /* enum peer_side */
	__u8 pad[5];
};

/* Who may send to a mapped port (RFC 4787 REQ-8). */
enum filtering {
	FILTERING_ADDRESS_AND_PORT = 0, /* only remotes that were sent to */
	FILTERING_ADDRESS = 1, /* any port of an address that was sent to */
	FILTERING_NONE = 2, /* endpoint-independent: anybody */
};

struct fragment_key {
	ip_addr source;
	ip_addr destination;
	__be32 identification;
	__u8 protocol; /* 0 with IPv6, whose later fragments do not say it (RFC 8200 section 4.5) */
	__u8 ordered; /* 1: back from the detour, which may have given it another identification */
	__u8 pad[2];
};

/* What became of a datagram whose fragments arrive: who came first decides for all of them. */
struct fragment {
	__u32 since; /* milliseconds of the monotonic clock */
	__u32 bytes; /* of payload, seen so far */
	__u32 total; /* of payload; 0 until the last fragment was seen */
	__be16 source_port; /* of the first fragment, for the later ones that carry none */
	__be16 destination_port;
	__u8 icmp_type; /* of an echo: tells which of the two is the identifier */
	__u8 protocol;
	__u8 detour; /* 1: a later one came before the first, and all of them take the detour */
	__u8 complete; /* 1: all bytes were seen, at `since` */
};

/* What one sender, or all of one direction, has on the detour. */
struct detour_budget {
	seconds second;
	__u32 away; /* fragments that left in this second and are not back */
};

struct detour_source {
	struct detour_budget budget;
	mac_addr ethernet_source; /* of its fragments when they arrived: an ICMP error goes back
				     there */
	mac_addr ethernet_destination;
};

/* What became of fragments of one direction, on one CPU. */
struct fragment_counter {
	__u64 first;
	__u64 hit; /* later ones after their first */
	__u64 miss; /* later ones before it: their datagram takes the detour where there is one */
	__u64 detour; /* sent there */
	__u64 limited; /* not sent there: too many are there already */
	__u64 returned; /* back, in order */
	__u64 disordered; /* back, and still before their first: should stay 0 */
};

/* IPv4 packets that may be cut are cut to the largest of these that the MTU allows (RFC 791). */
enum cut_size {
	CUT_NONE = 0,
	CUT_SMALL = 576, /* what every internet host takes; smaller MTUs are not cut for */
	CUT_MEDIUM = 1280, /* what every link takes that carries IPv6 too */
	CUT_LARGE = 1500,
};

/* The MTU towards another node, as the host's routing table says it; of one CPU. */
struct node_mtu {
	ip_addr next_hop;
	seconds resolved;
	__u32 mtu; /* bytes */
};

enum node_mtu_limits {
	NODE_MTU_SLOTS = 256, /* a power of two */
};

/* How the xdp program reaches a next hop of the uplink; of one CPU. */
struct next_hop {
	ip_addr address;
	mac_addr mac;
	mac_addr source; /* the device's own */
	seconds resolved;
	seconds told; /* when a packet last went to it by the stack, which checks that it lives */
	__u32 pad;
};

enum next_hop_limits {
	NEXT_HOP_SLOTS = 256, /* a power of two */
	NEXT_HOP_TELL = 8, /* seconds */
};

/* What the xdp program has sent back to the wire, on one CPU. */
struct xdp_counter {
	__u64 packets;
	__u64 bytes; /* of IP packets */
};

struct drop_key {
	__u16 reason; /* enum drop_reason */
	__u16 direction; /* enum direction */
};

struct drop_counter {
	__u64 packets;
	__u64 bytes;
};

enum event_limits {
	EVENT_HEADER_BYTES = 96,
	EVENTS_PER_SECOND = 32, /* of one reason and direction; the rest is only counted */
};

/* Events describe themselves: type is the BTF id of the struct that follows. */
struct event_header {
	__u32 type;
	__u32 cpu;
	__u64 time; /* nanoseconds of CLOCK_MONOTONIC */
};

struct drop_event {
	struct event_header header;
	__u32 reason; /* enum drop_reason */
	__u32 direction; /* enum direction */
	__u32 ifindex;
	__u32 length; /* of the whole packet, bytes */
	__u8 packet[EVENT_HEADER_BYTES]; /* its beginning, from the Ethernet header */
};

/* A pod that has no port left, or few. */
struct shortage_event {
	struct event_header header;
	ip_addr pod;
	ip_addr remote;
	__be16 remote_port;
	__u8 protocol;
	__u8 family; /* enum family */
	__u32 kind; /* enum shortage_kind */
	__u32 ifindex; /* of the pod's device; 0 for the node itself */
	__u32 blocks; /* that the pod has */
};

/* One row of the sampler: how many events of a kind were sent in this second. */
struct sample {
	seconds second;
	__u32 sent;
};

/* What the removal of dead flows did; written by the kernel whether or not an agent lives. */
struct sweep {
	struct bpf_timer timer;
	seconds last; /* when the last walk ended */
	__u32 walked; /* entries seen by the last walk */
	__u32 removed; /* entries removed by the last walk */
	__u32 pad;
	__u64 removed_total;
};

/* What a walk removes. */
enum walk_kind {
	WALK_DEAD = 1, /* flows and mappings that are past their timeout */
	WALK_STALE = 2, /* UDP flows to backends that serve no more */
	WALK_DEVICE = 3, /* all flows of one device */
};

enum walker {
	WALKER_TIMER = 0,
	WALKER_AGENT = 1, /* it makes one walk at a time */
	WALKER_COUNT = 2,
};

/* Where a walk is, and what it has seen. It goes on in pieces. */
struct walk {
	__u32 kind; /* enum walk_kind; 0: none is under way */
	__u32 ifindex; /* with WALK_DEVICE */
	__u32 mappings; /* 0: it is among flows; 1: among mappings */
	__u32 bucket; /* of that table, where the walk goes on */
	__u32 walked;
	__u32 removed;
	__u32 entries; /* that stayed in the flow table */
	__u32 scratch; /* enum scratch_user */
	seconds now; /* when this piece began */
	__u32 pad;
	__u64 began; /* the same, nanoseconds */
	__u64 spent; /* in all its pieces, nanoseconds */
	__u64 element; /* address of the next one in its bucket's list; odd: there is none */
};

/* What the programs that walk return. */
enum sweep_result {
	SWEEP_DONE = 0,
	SWEEP_MORE = 1, /* call again */
	SWEEP_FAILED = 2,
};

/* Argument of the program sweep_endpoint. */
struct sweep_request {
	__u32 ifindex; /* of the pod's device, never 0 */
};

enum answer_limits {
	ANSWER_QUOTE_BYTES = 128, /* of the packet that an ICMP error is about */
	ANSWERS_PER_SECOND = 1000, /* of one reason and direction (RFC 1812 section 4.3.2.8) */
};

enum quote_limits {
	QUOTE_NETWORK_BYTES = 40, /* of the quoted IP header, without IPv4 options */
	QUOTE_TRANSPORT_BYTES = 20, /* of the quoted transport header: room for TCP's checksum */
};

/* The packet that an ICMP error quotes: what may change of it, and the flow of its answers. */
struct quote {
	struct flow_key reply_key;
	__u8 network[QUOTE_NETWORK_BYTES];
	__u8 transport[QUOTE_TRANSPORT_BYTES];
	__u8 network_before[QUOTE_NETWORK_BYTES]; /* the same, untranslated */
	__u8 transport_before[QUOTE_TRANSPORT_BYTES];
	__u32 network_at; /* offsets from the Ethernet header */
	__u32 transport_at;
	__u32 transport_bytes; /* quoted: 8, or 18 */
};

/* What a TCP segment says that a later connection will be measured by. */
struct segment {
	__u32 timestamp; /* TSval, host order */
	__u32 sequence; /* after its last byte, host order */
	__u32 option; /* offset of the timestamp option from the TCP header; 0: has none */
};

/* Whose working room: a packet interrupts a walk of the agent on the same CPU, and so may the
 * timer. */
enum scratch_user {
	SCRATCH_PACKET = 0,
	SCRATCH_WALK = 1, /* of the agent */
	SCRATCH_TIMER = 2,
	SCRATCH_USERS = 3,
};

enum bucket_row_size {
	BUCKET_ROW = 64,
};

/* As in the kernel; the agent's programs are told when it is not so there. */
struct bucket_head {
	__u64 first; /* address */
	__u64 lock;
};

struct bucket_row {
	struct bucket_head heads[BUCKET_ROW];
};

/* Working room on one CPU, of a packet or a walk; see the map `scratches`. */
struct scratch {
	struct flow_key key;
	struct flow_key reply_key;
	struct flow_key pair_key;
	struct flow flow;
	struct flow reply;
	__u16 blocks[ENDPOINT_BLOCKS_MAX]; /* as of the owner: the search sees one row of ports */
	__u16 block_size;
	__u16 block_count;
	__u32 port_count; /* of all blocks */
	__u32 port_start; /* where the search begins */
	__s32 result;
	__u32 probes; /* ports looked at */
	__u32 shortage_kind; /* enum shortage_kind that this flow meets, or 0 */
	__u32 independent; /* 1: the mapping is endpoint-independent */
	__u32 refusal; /* enum drop_reason: why the table may not grow by this flow; 0: it may */
	struct segment syn; /* numbers of the packet that opens the flow; zero when it is not TCP */
	struct mapping_key mapping_key;
	struct mapping mapping;
	__u16 best; /* host order: a closed port that the server would accept; 0: none yet */
	__u16 worst; /* a closed port that it might not; 0: none yet */
	__u8 options[40]; /* of a TCP header */
	struct shortage_key shortage_key;
	struct shortage shortage;
	struct quote quote;
	__u8 icmp[8 + ANSWER_QUOTE_BYTES]; /* an ICMP header and what it quotes */
	__u8 header[40]; /* of the IP packet that carries it */
	__u8 pseudo[40]; /* RFC 8200 section 8.1 */
	__u8 fib[64]; /* a question to the routing table */
	struct flow_key node_key; /* a question about the way to another node */
	struct flow node_way;
	struct bucket_row row; /* of the table that is walked over */
	struct {
		struct flow_key key;
		struct flow flow;
	} walked; /* a copy, as far as `seen` */
	struct {
		struct mapping_key key;
		struct mapping mapping;
	} walked_mapping;
	struct direct_key direct_key;
	ip_addr tunnel_source; /* of a packet in a packet: which node has sent it, */
	ip_addr tunnel_destination; /* and to which pod */
};

/* --- set before load; the verifier removes what is switched off ------------------- */

struct prefix {
	ip_addr address;
	ip_addr mask;
};

struct port_range {
	__u16 first; /* host order, both ends included */
	__u16 last;
};

enum config_limits {
	INSIDE_MAX = 8,
	LOCAL_MAX = 4,
	RESERVED_MAX = 8,
	SERVICE_CIDRS_MAX = 4,
};

struct timeouts {
	seconds tcp_opening;
	seconds tcp_established;
	seconds tcp_closing;
	seconds udp_one_way;
	seconds udp_two_way;
	seconds udp_well_known; /* to remote ports below 1024 (RFC 4787 REQ-5 a) */
	seconds icmp;
};

struct config {
	ip_addr node_address[FAMILY_COUNT]; /* of this node on the uplink; :: when it has none */
	ip_addr gateway[FAMILY_COUNT]; /* what pods use as their next hop */
	struct prefix inside[INSIDE_MAX]; /* the cluster's pod CIDRs: no translation, no flow */
	struct prefix local[LOCAL_MAX]; /* this node's share of them */
	__u32 inside_count;
	__u32 local_count;
	__u32 uplink_ifindex;
	__u16 uplink_mtu; /* bytes */
	mac_addr gateway_mac; /* of the host side of every pod's veth */
	__u16 nat_port_first; /* host order; taken away from the host */
	__u16 nat_port_last;
	__u16 node_port_first;
	__u16 node_port_last;
	__u8 island[FAMILY_COUNT]; /* 1: this family is translated on its way out */
	__u8 udp_endpoint_independent; /* 1: mappings of UDP are endpoint-independent */
	__u8 tcp_endpoint_independent; /* 1: those of TCP too: no port is shared by remotes */
	__u8 filtering; /* enum filtering, of endpoint-independent mappings */
	__u8 fast_checksum; /* 1: skb->ip_summed can be read (bpf_cast_to_kern_ctx, 6.2) */
	__u8 random_ports; /* 1: a search begins anywhere; 0: at the packet's own port, modulo */
	__u8 pad;
	__u64 netns_cookie; /* of the node's namespace: the bind guard leaves pods alone */
	struct timeouts timeouts;
	__u32 detour_ifindex[2]; /* by enum direction: to where fragments are put in order; or 0 */
	mac_addr detour_mac; /* of the far end of all of them */
	__u8 pad0[2];
	struct port_range reserved[RESERVED_MAX]; /* of the NAT ports, but the host's */
	__u32 reserved_count;
	seconds loaded; /* when these programs were, by an agent that lived then */
	__u32 cut_ifindex; /* to where IPv4 packets are cut; or 0 */
	__u32 flow_limit; /* open flows of one pod; 0: as many as there is room for */
	__u32 unanswered_limit; /* of one device, while the flow table is nearly full */
	struct prefix service_cidrs[SERVICE_CIDRS_MAX]; /* only services are there */
	__u32 service_cidr_count;
	__u32 pad1;
	mac_addr uplink_mac; /* frames for others are none of the xdp program's */
	__u8 xdp_redirect; /* 1: the uplink is a veth, and what is sent back is redirected to it */
	__u8 pad2;
};

#endif
