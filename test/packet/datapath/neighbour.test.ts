// ARP and neighbour discovery: the gateway answers its pods, byte by byte, and nothing else.
import { about, arp } from '../../support/neighbour.js';
import { eth, type Packet } from '../../support/packet.js';
import { describeDatapath, type PacketCase, testCases } from '../../support/packet-case.js';
import { ETHERTYPE, wireAddress } from '../../support/packet-layer.js';
import { back, from, MAC, V4, V6 } from '../../support/world.js';

const ZERO_MAC = '00:00:00:00:00:00';
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const LINK_LOCAL = 'fe80::aff:fe00:a02';
const ROUTER_SOLICITED_OVERRIDE = 0xe0000000;

const arpFrame = (source: string, destination: string) => eth({ source, destination, type: ETHERTYPE.arp });
const request = (target: string, source: string = V4.a) =>
  arp(arpFrame(MAC.a, BROADCAST), { operation: 1, sender: [MAC.a, source], target: [ZERO_MAC, target] });

interface Solicitation {
  readonly source?: string;
  readonly destination?: string;
  readonly target?: string;
}

function solicitation({
  source = LINK_LOCAL,
  destination = 'ff02::1:ff00:1',
  target = V6.gateway,
}: Solicitation): Packet {
  const frame = eth({ source: MAC.a, destination: '33:33:ff:00:00:01' });
  return frame
    .ipv6({ source, destination, hopLimit: 255 })
    .icmp6({ type: 135 })
    .payload(about(target, 1, MAC.a));
}

function advertisement(destination: string): Packet {
  const frame = back('a').ipv6({ source: V6.gateway, destination, hopLimit: 255 });
  return frame.icmp6({ type: 136, rest: ROUTER_SOLICITED_OVERRIDE }).payload(about(V6.gateway, 2, MAC.gateway));
}

describeDatapath({ name: 'neighbour', file: import.meta.filename }, (get) => {
  const unknown = { from: 'a', verdict: 'drop', drops: { DROP_NEIGHBOUR_UNKNOWN: 1 } } as const;
  const answered = { from: 'a', verdict: 'redirect' } as const;

  testCases(get, [
    {
      name: 'ARP for the gateway is answered',
      ...answered,
      in: request(V4.gateway),
      out: arp(arpFrame(MAC.gateway, MAC.a), {
        operation: 2,
        sender: [MAC.gateway, V4.gateway],
        target: [MAC.a, V4.a],
      }),
    },
    {
      name: 'an ARP probe for the gateway gets the same answer',
      ...answered,
      in: request(V4.gateway, '0.0.0.0'),
      out: arp(arpFrame(MAC.gateway, MAC.a), {
        operation: 2,
        sender: [MAC.gateway, V4.gateway],
        target: [MAC.a, '0.0.0.0'],
      }),
    },
    ...[V4.a, V4.b, V4.node, V4.router, V4.remote].map(
      (target): PacketCase => ({ name: `ARP for ${target} is not`, ...unknown, in: request(target) }),
    ),
    {
      name: "a pod's ARP reply goes to the node, which has asked",
      from: 'a',
      in: arp(arpFrame(MAC.a, MAC.gateway), { operation: 2, sender: [MAC.a, V4.a], target: [MAC.gateway, V4.gateway] }),
      verdict: 'next',
    },
    ...[14 + 8, 14 + 27].map(
      (length): PacketCase => ({
        name: `ARP of ${length} bytes is truncated`,
        from: 'a',
        in: request(V4.gateway).bytes().subarray(0, length),
        verdict: 'drop',
        drops: { DROP_TRUNCATED: 1 },
      }),
    ),
    {
      name: 'D7: a solicitation of the gateway is answered',
      ...answered,
      in: solicitation({}),
      out: advertisement(LINK_LOCAL),
    },
    {
      name: "from the pod's own address, too",
      ...answered,
      in: solicitation({ source: V6.a }),
      out: advertisement(V6.a),
    },
    {
      name: 'unicast, as the kernel confirms a neighbour, too',
      ...answered,
      in: solicitation({ destination: V6.gateway }),
      out: advertisement(LINK_LOCAL),
    },
    {
      name: 'without an option it is answered with one',
      ...answered,
      in: from('a')
        .ipv6({ source: LINK_LOCAL, destination: V6.gateway, hopLimit: 255 })
        .icmp6({ type: 135 })
        .payload(wireAddress(V6.gateway)),
      out: advertisement(LINK_LOCAL),
    },
    { name: 'D7: detection of duplicates is not answered', ...unknown, in: solicitation({ source: '::' }) },
    ...[V6.a, V6.b, V6.node, 'fe80::2', V6.remote].map(
      (target): PacketCase => ({
        name: `D7: a solicitation of ${target} is not`,
        ...unknown,
        in: solicitation({ target }),
      }),
    ),
    {
      name: 'a solicitation that ends before its target is truncated',
      from: 'a',
      in: from('a')
        .ipv6({ source: LINK_LOCAL, destination: V6.gateway, hopLimit: 255 })
        .icmp6({ type: 135 })
        .payload(15),
      verdict: 'drop',
      drops: { DROP_TRUNCATED: 1 },
    },
    {
      name: 'behind an extension header nothing is answered',
      from: 'a',
      in: from('a')
        .ipv6({ source: LINK_LOCAL, destination: 'ff02::1:ff00:1', hopLimit: 255 })
        .extension(60)
        .icmp6({ type: 135 })
        .payload(about(V6.gateway, 1, MAC.a)),
      verdict: 'drop',
      drops: { DROP_MALFORMED: 1 },
    },
    {
      name: 'a solicitation that was forwarded is not answered',
      from: 'a',
      in: from('a')
        .ipv6({ source: V6.a, destination: V6.gateway, hopLimit: 254 })
        .icmp6({ type: 135 })
        .payload(about(V6.gateway, 1, MAC.a)),
      verdict: 'drop',
      drops: { DROP_MALFORMED: 1 },
    },
    {
      name: "a pod's advertisement goes to the node, which has asked",
      from: 'a',
      in: from('a')
        .ipv6({ source: V6.a, destination: 'fe80::2', hopLimit: 255 })
        .icmp6({ type: 136 })
        .payload(about(V6.a, 2, MAC.a)),
      verdict: 'next',
    },
    ...[133, 134, 137].map(
      (type): PacketCase => ({
        name: `what else neighbours say (type ${type}) ends here`,
        from: 'a',
        in: from('a').ipv6({ source: LINK_LOCAL, destination: 'ff02::2', hopLimit: 255 }).icmp6({ type }),
        verdict: 'drop',
        drops: { DROP_NOT_ROUTABLE: 1 },
      }),
    ),
  ]);
});
