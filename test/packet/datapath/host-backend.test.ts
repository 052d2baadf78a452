// A Service whose backend is a process of this node: to the host's stack under the backend's name, and back under the frontend's.
import { expect, it } from 'vitest';
import type { Outcome, TestDatapath } from '../../support/datapath.js';
import { Packet } from '../../support/packet.js';
import { describeDatapath, expectOutcome } from '../../support/packet-case.js';
import { type Addresses, type Device, FAMILIES, from, into, NODE_PORT } from '../../support/world.js';

const CLIENT = 40_000;
const SERVER = 6443;
const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
type Protocol = keyof typeof PROTOCOLS;
type Ends = { source: string; sport: number; destination: string; dport: number };

function packet(
  frame: Packet,
  protocol: Protocol,
  { source, sport, destination, dport }: Ends,
  { answer = false, ttl = 64 },
) {
  const outer = frame.ip({ source, destination, ttl });
  const ports = { source: sport, destination: dport };
  if (protocol === 'udp') return outer.udp(ports).payload('word');
  if (protocol === 'sctp') return outer.sctp({ ...ports, chunks: [answer ? 'INIT ACK' : 'INIT'] });
  return outer.tcp({ ...ports, flags: answer ? 'SA' : 'S', ack: 1 });
}

/** What the host sends, on its way out of a device. */
function send(datapath: TestDatapath, device: Device, frame: Packet): Outcome {
  const { data, context } = datapath.testRunOf(device, frame);
  const { retval, data: bytes } = datapath.program('from_host').testRun({ data, context });
  return { verdict: retval === 0xffffffff ? 'next' : 'drop', bytes };
}

const setups = {
  'fast checksums': {},
  'checksums by helpers': { config: { fast_checksum: 0 } },
};

describeDatapath({ name: 'host-backend', file: import.meta.filename, setups }, (get) => {
  for (const [family, w] of FAMILIES) {
    const clients: readonly { name: string; device: Device; address: string; to: { address: string; port: number } }[] =
      [
        {
          name: 'an outsider by a node port',
          device: 'uplink',
          address: w.remote,
          to: { address: w.node, port: NODE_PORT },
        },
        {
          name: 'an outsider by a cluster address',
          device: 'uplink',
          address: w.remote,
          to: { address: w.vip, port: 443 },
        },
        { name: 'a pod of another node', device: 'uplink', address: w.far, to: { address: w.node, port: NODE_PORT } },
        { name: 'a pod by the cluster address', device: 'a', address: w.a, to: { address: w.vip, port: 443 } },
      ];
    for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
      it.each(clients)(`${family} ${protocol}: $name is seen as it is, and answered by the frontend`, (client) => {
        const datapath = get();
        serve(datapath, w, { ...client.to, protocol });
        const there = { source: client.address, sport: CLIENT, destination: client.to.address, dport: client.to.port };
        const inside = { ...there, destination: w.node, dport: SERVER };
        for (let time = 0; time < 2; time++) {
          expectOutcome(
            datapath.run(client.device, packet(from(client.device), protocol, there, {})),
            'next',
            packet(from(client.device), protocol, inside, { ttl: 63 }),
          );
          expectOutcome(
            send(datapath, client.device, packet(leaving(client.device), protocol, turned(inside), { answer: true })),
            'next',
            packet(leaving(client.device), protocol, turned(there), { answer: true }),
          );
        }
        expect(datapath.drops()).toEqual({});
        const flags = [...datapath.maps.flows.scan()].map(([, flow]) => flow.packets);
        expect(flags).toEqual([2n, 2n]);
      });
    }

    it(`${family}: what the host sends for itself stays as it is`, () => {
      serve(get(), w, { address: w.vip, port: 443, protocol: 'tcp' });
      const own = { source: w.node, sport: SERVER, destination: w.remote, dport: CLIENT };
      for (const device of ['uplink', 'a'] as const) {
        const frame = packet(leaving(device), 'tcp', own, { answer: true });
        expectOutcome(send(get(), device, frame), 'next', frame);
      }
      const ping = leaving('a').ip({ source: w.node, destination: w.a }).echo({ id: 5 });
      expectOutcome(send(get(), 'a', ping), 'next', ping);
      expect([get().flows(), get().drops()]).toEqual([[], {}]);
    });

    it(`${family}: an answer that comes in from the wire is none: nobody sends for the host`, () => {
      serve(get(), w, { address: w.vip, port: 443, protocol: 'udp' });
      const there = { source: w.remote, sport: CLIENT, destination: w.vip, dport: 443 };
      get().run('uplink', packet(from('uplink'), 'udp', there, {}));
      const forged = { source: w.node, sport: SERVER, destination: w.remote, dport: CLIENT };
      expect(get().run('uplink', packet(from('uplink'), 'udp', forged, {})).verdict).toBe('drop');
      expect(get().drops()).toEqual({ DROP_WRONG_DEVICE: 1 });
    });

    it(`${family}: an error about an answer reaches the host under the backend's name`, () => {
      serve(get(), w, { address: w.vip, port: 443, protocol: 'udp' });
      const there = { source: w.remote, sport: CLIENT, destination: w.vip, dport: 443 };
      const inside = { ...there, destination: w.node, dport: SERVER };
      get().run('uplink', packet(from('uplink'), 'udp', there, {}));
      const error = (frame: Packet, quoted: Ends) => {
        const quote = packet(NO_FRAME, 'udp', turned(quoted), { ttl: 60 }).bytes();
        return w.a.includes(':')
          ? frame.icmp6({ type: 2, rest: 1400 }).payload(quote)
          : frame.icmp4({ type: 3, code: 4, rest: 1400 }).payload(quote);
      };
      expectOutcome(
        get().run('uplink', error(from('uplink').ip({ source: w.router, destination: w.vip }), there)),
        'next',
        error(from('uplink').ip({ source: w.router, destination: w.node, ttl: 63 }), inside),
      );
    });
  }
});

/** Begins with an IP header. */
const NO_FRAME = new Packet([]);

function serve(
  datapath: TestDatapath,
  w: Addresses,
  { address, port, protocol }: { address: string; port: number; protocol: Protocol },
) {
  datapath.setService([{ address, port, protocol: PROTOCOLS[protocol] }], [{ address: w.node, port: SERVER }]);
}

function turned({ source, sport, destination, dport }: Ends): Ends {
  return { source: destination, sport: dport, destination: source, dport: sport };
}

function leaving(device: Device): Packet {
  return device === 'uplink' ? from('uplink') : into(device);
}
