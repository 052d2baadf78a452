// Inside the cluster: nothing is translated, no flow is kept, and what cannot be delivered is answered.
import { expect, it } from 'vitest';
import { icmpAnswer, resetAnswer } from '../../support/answers.js';
import { describeDatapath, type PacketCase, testCases } from '../../support/packet-case.js';
import { type Device, FAMILIES, from, into, V4, V6 } from '../../support/world.js';

const SYN = { source: 40_000, destination: 443 };
/** With room for a timestamp option: a header of 32 bytes. */
const STAMPED = { ...SYN, flags: 'A', options: Buffer.alloc(12, 1) };
const SEGMENT = { ...SYN, flags: 'A', ack: 1 };

describeDatapath({ name: 'forward', file: import.meta.filename }, (get) => {
  for (const [family, w] of FAMILIES) {
    const ip = (device: Device, source: string, destination: string, ttl = 64) =>
      from(device).ip({ source, destination, ttl });
    const unreachable = { verdict: 'redirect', drops: { DROP_NO_ENDPOINT: 1 } } as const;
    const header = family === 'IPv4' ? 20 : 40;
    testCases(get, [
      {
        name: `${family}: to a pod of this node`,
        from: 'a',
        in: ip('a', w.a, w.b).tcp(SYN).payload('hello'),
        verdict: 'redirect',
        out: into('b').ip({ source: w.a, destination: w.b, ttl: 63 }).tcp(SYN).payload('hello'),
      },
      {
        name: `${family}: to itself`,
        from: 'a',
        in: ip('a', w.a, w.a).udp(SYN),
        verdict: 'redirect',
        out: into('a').ip({ source: w.a, destination: w.a, ttl: 63 }).udp(SYN),
      },
      {
        name: `${family}: to a pod of another node`,
        from: 'a',
        in: ip('a', w.a, w.far).tcp(SEGMENT).payload('hello'),
        verdict: 'redirect',
        out: ip('a', w.a, w.far, 63).tcp(SEGMENT).payload('hello'),
      },
      {
        name: `${family}: from a pod of another node`,
        from: 'uplink',
        in: ip('uplink', w.far, w.b).echo({ id: 5, reply: true }),
        verdict: 'redirect',
        out: into('b').ip({ source: w.far, destination: w.b, ttl: 63 }).echo({ id: 5, reply: true }),
      },
      {
        name: `${family}: a protocol that cannot be translated needs no translation here`,
        from: 'a',
        in: from('a').ip({ source: w.a, destination: w.b }).payload(20),
        verdict: 'redirect',
        out: into('b').ip({ source: w.a, destination: w.b, ttl: 63 }).payload(20),
      },
      {
        name: `${family}: a wrong transport checksum is the receiver's business`,
        from: 'a',
        in: ip('a', w.a, w.b).udp({ ...SYN, checksum: 0x1111 }),
        verdict: 'redirect',
        out: into('b')
          .ip({ source: w.a, destination: w.b, ttl: 63 })
          .udp({ ...SYN, checksum: 0x1111 }),
      },
      ...(['unowned', 'nobody'] as const).map((who): PacketCase => {
        const refused = ip('a', w.a, w[who]).tcp(SYN).payload(200);
        return {
          name: `${family}: an address that is ${who === 'nobody' ? "no pod's" : "no node's"} is unreachable`,
          ...unreachable,
          from: 'a',
          in: refused,
          out: icmpAnswer('a', refused, { kind: 'hostUnreachable', from: w.node }),
        };
      }),
      ...(['nobody', 'far', 'unowned'] as const).map((who): PacketCase => {
        const refused = ip('uplink', w.remote, w[who]).udp(SYN);
        return {
          name: `${family}: from the wire, ${who} is unreachable: no packet goes back to where it came from`,
          ...unreachable,
          from: 'uplink',
          in: refused,
          out: icmpAnswer('uplink', refused, { kind: 'hostUnreachable', from: w.node }),
        };
      }),
      ...(
        [
          ['a', 'a', 'unowned'],
          ['a', 'a', 'nobody'],
          ['uplink', 'far', 'nobody'],
          ['uplink', 'otherNode', 'nobody'],
        ] as const
      ).map(([device, sender, who]): PacketCase => {
        const segment = ip(device, w[sender], w[who]).tcp(SEGMENT).payload('more');
        return {
          name: `${family}: a connection of ${sender} to an address that is gone (${who}) is reset`,
          ...unreachable,
          from: device,
          in: segment,
          out: resetAnswer(device, segment),
        };
      }),
      {
        name: `${family}: outside nobody is told by an inside address`,
        ...unreachable,
        from: 'uplink',
        in: ip('uplink', w.remote, w.nobody).tcp(SEGMENT),
        out: icmpAnswer('uplink', ip('uplink', w.remote, w.nobody).tcp(SEGMENT), {
          kind: 'hostUnreachable',
          from: w.node,
        }),
      },
      {
        name: `${family}: a reset is never answered`,
        from: 'a',
        in: ip('a', w.a, w.nobody).tcp({ ...SYN, flags: 'R' }),
        verdict: 'drop',
        drops: { DROP_NO_ENDPOINT: 1 },
      },
      ...[0, 1].flatMap((ttl) =>
        (['b', 'far', 'remote'] as const).map((who): PacketCase => {
          const expired = ip('a', w.a, w[who], ttl).tcp(SYN);
          return {
            name: `${family}: hop limit ${ttl} ends on the way to ${who}`,
            from: 'a',
            in: expired,
            verdict: 'redirect',
            out: icmpAnswer('a', expired, { kind: 'timeExceeded', from: w.node }),
            drops: { DROP_TTL_EXCEEDED: 1 },
            flows: null,
          };
        }),
      ),
      {
        name: `${family}: hop limit 2 is enough`,
        from: 'a',
        in: ip('a', w.a, w.b, 2).tcp(SYN),
        verdict: 'redirect',
        out: into('b').ip({ source: w.a, destination: w.b, ttl: 1 }).tcp(SYN),
      },
      {
        name: `${family}: exactly the MTU fits`,
        from: 'a',
        in: ip('a', w.a, w.b)
          .udp(SYN)
          .payload(1500 - header - 8),
        verdict: 'redirect',
        out: into('b')
          .ip({ source: w.a, destination: w.b, ttl: 63 })
          .udp(SYN)
          .payload(1500 - header - 8),
      },
      ...(['b', 'far', 'remote'] as const).map((who): PacketCase => {
        const large = ip('a', w.a, w[who])
          .udp(SYN)
          .payload(1501 - header - 8);
        return {
          name: `${family}: a byte more than the MTU is too big on the way to ${who}`,
          from: 'a',
          in: large,
          verdict: 'redirect',
          out: icmpAnswer('a', large, { kind: 'tooBig', from: w.node, mtu: 1500 }),
          drops: { DROP_TOO_BIG: 1 },
          flows: null,
        };
      }),
      {
        name: `${family}: a pod's own MTU counts`,
        given: ({ maps }) => {
          const pod = maps.endpoints.get(w.b);
          if (pod !== undefined) maps.endpoints.set(w.b, { ...pod, mtu: 1400 });
        },
        from: 'uplink',
        in: ip('uplink', w.far, w.b)
          .udp(SYN)
          .payload(1401 - header - 8),
        verdict: 'redirect',
        out: icmpAnswer(
          'uplink',
          ip('uplink', w.far, w.b)
            .udp(SYN)
            .payload(1401 - header - 8),
          {
            kind: 'tooBig',
            from: w.node,
            mtu: 1400,
          },
        ),
        drops: { DROP_TOO_BIG: 1 },
      },
      {
        name: `${family}: segments of a large buffer fit when each one does`,
        from: 'a',
        in: ip('a', w.a, w.b).tcp(SEGMENT).payload(2000),
        gsoSize: 1400,
        verdict: 'redirect',
        out: into('b').ip({ source: w.a, destination: w.b, ttl: 63 }).tcp(SEGMENT).payload(2000),
      },
      {
        name: `${family}: segments of exactly the MTU fit, TCP options included`,
        from: 'a',
        in: ip('a', w.a, w.b).tcp(STAMPED).payload(2900),
        gsoSize: 1500 - header - 32,
        verdict: 'redirect',
        out: into('b').ip({ source: w.a, destination: w.b, ttl: 63 }).tcp(STAMPED).payload(2900),
      },
      {
        name: `${family}: segments of a byte more do not`,
        from: 'a',
        in: ip('a', w.a, w.b).tcp(STAMPED).payload(2900),
        gsoSize: 1501 - header - 32,
        verdict: 'redirect',
        out: icmpAnswer('a', ip('a', w.a, w.b).tcp(STAMPED).payload(2900), { kind: 'tooBig', from: w.node, mtu: 1500 }),
        drops: { DROP_TOO_BIG: 1 },
      },
      {
        name: `${family}: BIG TCP fits when each segment does: what only the buffer has is not on the wire`,
        from: 'a',
        in: from('a').big({ source: w.a, destination: w.b }).tcp(STAMPED).payload(2900),
        gsoSize: 1500 - header - 32,
        verdict: 'redirect',
        out: into('b').big({ source: w.a, destination: w.b, ttl: 63 }).tcp(STAMPED).payload(2900),
      },
      {
        name: `${family}: too small for a quote of 128 bytes, the whole packet is quoted`,
        from: 'a',
        in: ip('a', w.a, w.unowned).udp(SYN).payload('x'),
        ...unreachable,
        out: icmpAnswer('a', ip('a', w.a, w.unowned).udp(SYN).payload('x'), { kind: 'hostUnreachable', from: w.node }),
      },
    ]);

    it(`${family}: BIG TCP with segments of a byte more is too big`, () => {
      const large = from('a').big({ source: w.a, destination: w.b }).tcp(STAMPED).payload(2900);
      expect(get().run('a', large, { gsoSize: 1500 - header - 32 }).verdict).toBe('redirect');
      expect(get().drops()).toEqual({});
      expect(get().run('a', large, { gsoSize: 1501 - header - 32 }).verdict).toBe('redirect');
      expect(get().drops()).toEqual({ DROP_TOO_BIG: 1 });
    });

    it(`${family}: every length is quoted with correct checksums`, () => {
      for (let length = 0; length < 140; length++) {
        const refused = ip('a', w.a, w.unowned).udp(SYN).payload(length);
        const { verdict, bytes } = get().run('a', refused);
        expect([length, verdict]).toEqual([length, 'redirect']);
        const wanted = icmpAnswer('a', refused, { kind: 'hostUnreachable', from: w.node });
        expect(bytes.toString('hex')).toBe(wanted.bytes().toString('hex'));
      }
    });
  }

  const notRoutable = { from: 'a', verdict: 'drop', drops: { DROP_NOT_ROUTABLE: 1 } } as const;
  const destinations4 = [
    '224.0.0.1',
    '239.1.1.1',
    '255.255.255.255',
    '127.0.0.1',
    '0.0.0.0',
    '169.254.9.9',
    '240.0.0.1',
  ];
  const destinations6 = ['ff02::1', 'ff0e::1', 'fe80::2', '::1', '::', '::192.0.2.1'];
  testCases(get, [
    ...destinations4.map(
      (destination): PacketCase => ({
        name: `${destination} is never forwarded`,
        ...notRoutable,
        in: from('a').ip({ source: V4.a, destination }).udp(SYN),
      }),
    ),
    ...destinations6.map(
      (destination): PacketCase => ({
        name: `${destination} is never forwarded`,
        ...notRoutable,
        in: from('a').ip({ source: V6.a, destination }).udp(SYN),
      }),
    ),
    {
      name: 'a report of multicast groups ends here',
      ...notRoutable,
      in: from('a').ipv6({ source: '::', destination: 'ff02::16', hopLimit: 1 }).extension(0).icmp6({ type: 143 }),
    },
    {
      name: "multicast on the wire is the host's",
      from: 'uplink',
      in: from('uplink').ip({ source: V4.remote, destination: '224.0.0.5' }).udp(SYN),
      verdict: 'next',
    },
    {
      name: 'an error is not answered with an error',
      from: 'a',
      in: from('a').ip({ source: V4.a, destination: V4.unowned }).icmp4({ type: 3, code: 3 }).payload(28),
      verdict: 'drop',
      drops: { DROP_NO_ENDPOINT: 1 },
    },
    {
      name: 'nor is a later fragment',
      from: 'a',
      in: from('a').ipv4({ source: V4.a, destination: V4.unowned, offset: 1480, protocol: 17 }).payload(100),
      verdict: 'drop',
      drops: { DROP_NO_ENDPOINT: 1 },
    },
    ...['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255'].map(
      (source): PacketCase => ({
        name: `nor is a packet from ${source}`,
        from: 'uplink',
        in: from('uplink').ip({ source, destination: V4.nobody }).udp(SYN),
        verdict: 'drop',
        drops: { DROP_NO_ENDPOINT: 1 },
      }),
    ),
    ...['::', 'ff02::1'].map(
      (source): PacketCase => ({
        name: `nor is a packet from ${source}`,
        from: 'uplink',
        in: from('uplink').ip({ source, destination: V6.nobody }).udp(SYN),
        verdict: 'drop',
        drops: { DROP_NO_ENDPOINT: 1 },
      }),
    ),
  ]);

  it('answers no more than a thousand times a second', () => {
    const refused = from('uplink').ip({ source: V4.remote, destination: V4.nobody }).udp(SYN);
    const began = performance.now();
    const verdicts = Array.from({ length: 2500 }, () => get().run('uplink', refused).verdict);
    const seconds = Math.ceil((performance.now() - began) / 1000) + 1;
    const answered = verdicts.filter((verdict) => verdict === 'redirect').length;
    expect(answered).toBeGreaterThanOrEqual(1000);
    expect(answered).toBeLessThanOrEqual(1000 * seconds);
    expect(get().drops()).toEqual({ DROP_NO_ENDPOINT: 2500 });
    expect(get().flows()).toEqual([]);
  });

  it('counts an answered packet with the bytes that came in', () => {
    const refused = from('a').ip({ source: V4.a, destination: V4.unowned }).udp(SYN).payload(333);
    get().run('a', refused);
    const [[, counters] = [undefined, []]] = [...get().maps.drops.scan()];
    expect(counters.reduce((sum, { bytes }) => sum + bytes, 0n)).toBe(BigInt(refused.bytes().length));
  });
});
