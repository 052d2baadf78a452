// Who may send from an address, and what is addressed to the node itself.
import { describeDatapath, type PacketCase, testCases } from '../../support/packet-case.js';
import { FAMILIES, from, into, PORTS } from '../../support/world.js';

const SYN = { source: 40_000, destination: 443 };

describeDatapath({ name: 'endpoint', file: import.meta.filename }, (get) => {
  for (const [family, w] of FAMILIES) {
    const ip = (source: string, destination: string) => from('a').ip({ source, destination });
    const spoofed = { from: 'a', verdict: 'drop', drops: { DROP_SPOOFED: 1 } } as const;
    const destinations = { 'another pod': w.b, 'another node': w.far, outside: w.remote, 'the node': w.node };
    const sources = { "another pod's": w.b, "the node's": w.node, "no pod's": w.nobody, "an outsider's": w.remote2 };
    testCases(
      get,
      Object.entries(destinations).flatMap(([to, destination]) =>
        Object.entries(sources).map(
          ([whose, source]): PacketCase => ({
            name: `${family}: a pod does not send to ${to} from ${whose} address`,
            ...spoofed,
            in: ip(source, destination).udp({ source: 1, destination: 2 }),
          }),
        ),
      ),
    );
    testCases(get, [
      {
        name: `${family}: a pod's address is not believed at another device`,
        ...spoofed,
        from: 'b',
        in: from('b').ip({ source: w.a, destination: w.b }).tcp(SYN),
      },
      {
        name: `${family}: nor in a flow that the pod has`,
        given: (datapath) => datapath.run('a', ip(w.a, w.remote).tcp(SYN)),
        from: 'b',
        in: from('b')
          .ip({ source: w.a, destination: w.remote })
          .tcp({ ...SYN, flags: 'A' }),
        verdict: 'drop',
        drops: { DROP_WRONG_DEVICE: 1 },
        flows: null,
      },
      {
        name: `${family}: fragments of others are not taken either`,
        ...spoofed,
        in: firstFragment(w.b, w.remote),
      },
      {
        name: `${family}: a pod reaches the node`,
        from: 'a',
        in: ip(w.a, w.node).tcp({ ...SYN, destination: 6443 }),
        verdict: 'next',
      },
      { name: `${family}: a pod pings the node`, from: 'a', in: ip(w.a, w.node).echo({ id: 9 }), verdict: 'next' },
      {
        name: `${family}: ports of flows are not the node's`,
        from: 'a',
        in: ip(w.a, w.node).tcp({ ...SYN, destination: PORTS.b + 3 }),
        verdict: 'drop',
        drops: { DROP_NO_FLOW: 1 },
      },
      ...[PORTS.node, PORTS.a + 1, 65_535].map(
        (destination): PacketCase => ({
          name: `${family}: nor is port ${destination}, from the wire`,
          from: 'uplink',
          in: from('uplink').ip({ source: w.remote, destination: w.node }).udp({ source: 53, destination }),
          verdict: 'drop',
          drops: { DROP_NO_FLOW: 1 },
        }),
      ),
      ...[22, PORTS.node - 1, 29_999, 32_768].map(
        (destination): PacketCase => ({
          name: `${family}: port ${destination} of the node is the host's`,
          from: 'uplink',
          in: from('uplink').ip({ source: w.remote, destination: w.node }).tcp({ source: 5000, destination }),
          verdict: 'next',
        }),
      ),
      ...[30_000, 32_767].map(
        (destination): PacketCase => ({
          name: `${family}: port ${destination}, which no service has, too`,
          from: 'uplink',
          in: from('uplink').ip({ source: w.remote, destination: w.node }).tcp({ source: 5000, destination }),
          verdict: 'next',
        }),
      ),
      {
        name: `${family}: the wire pings the node`,
        from: 'uplink',
        in: from('uplink').ip({ source: w.remote, destination: w.node }).echo({ id: PORTS.a }),
        verdict: 'next',
      },
      {
        name: `${family}: what the wire sends to nobody we know is the host's`,
        from: 'uplink',
        in: from('uplink').ip({ source: w.remote, destination: w.remote2 }).tcp(SYN),
        verdict: 'next',
      },
      {
        name: `${family}: the node's own address serves a pod of this node`,
        from: 'uplink',
        in: from('uplink').ip({ source: w.remote, destination: w.a }).tcp(SYN),
        verdict: 'redirect',
        out: into('a').ip({ source: w.remote, destination: w.a, ttl: 63 }).tcp(SYN),
      },
    ]);
  }
});

function firstFragment(source: string, destination: string) {
  if (source.includes(':'))
    return from('a').ip({ source, destination }).fragment6({ more: true }).udp({ source: 1, destination: 2 });
  return from('a').ipv4({ source, destination, moreFragments: true }).udp({ source: 1, destination: 2 });
}
