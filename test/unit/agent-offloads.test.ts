// What the agent asks of the devices of pods, by what the uplink and the devices themselves take.
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { Offloads, type OffloadsOptions } from '../../src/agent/offloads.js';
import type { LinkInfo, Netlink } from '../../src/net/native.js';

type Sizes = NonNullable<ReturnType<Netlink['packetSizes']>>;

const SMALL = { gso: 65_536, gro: 65_536, gsoIpv4: 65_536, groIpv4: 65_536, tso: 524_280 };
const BIG = { gso: 196_608, gro: 196_608, gsoIpv4: 196_608, groIpv4: 196_608 };
const UPLINK: LinkInfo = { ifindex: 2, name: 'up', kind: '', mac: '', mtu: 1500, up: true, peer: 0 };
const HOST = 7;
const AUTO = { bigTcp: 'auto', gro: 'auto' } as const;

/** Devices by index, as a kernel would keep them. */
class Devices {
  readonly sizes: Map<number, Sizes>;
  readonly asked: string[] = [];
  gro = false;
  refusal: string | undefined;

  constructor(sizes: Readonly<Record<number, Sizes>>) {
    this.sizes = new Map(Object.entries(sizes).map(([ifindex, one]) => [Number(ifindex), one]));
  }

  get netlink(): Netlink {
    const netlink: Partial<Netlink> = {
      link: () => ({ ...UPLINK, ifindex: 1 }),
      packetSizes: (ifindex) => this.sizes.get(ifindex),
      setPacketSizes: (ifindex, sizes) => {
        if (this.refusal !== undefined) throw new Error(this.refusal);
        this.asked.push(`${ifindex} ${JSON.stringify(sizes)}`);
        this.sizes.set(ifindex, { ...this.sizes.get(ifindex), ...sizes });
      },
      receiveOffload: () => this.gro,
      setReceiveOffload: (ifindex, on) => {
        this.asked.push(`${ifindex} gro ${on}`);
        this.gro = on;
      },
    };
    return netlink as Netlink;
  }
}

/** The node with its uplink and a pod's host side, and the pod with its device. */
function world(uplink: Sizes, ends: Sizes = SMALL) {
  const [node, pod] = [new Devices({ 2: uplink, [HOST]: ends }), new Devices({ 1: ends })];
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push(line) });
  const offloads = (wanted: OffloadsOptions['wanted'] = AUTO) =>
    new Offloads({ node: node.netlink, uplink: UPLINK, wanted, log });
  const apply = (one = offloads()) => {
    one.apply({ pod: pod.netlink, ifindex: HOST, hostInterface: 'ist1', interfaceName: 'eth0' });
    return one.state;
  };
  return { node, pod, offloads, apply, lines };
}

describe('BIG TCP', () => {
  test('is for pods what the uplink takes, up to 192 KiB, on both ends and in both families', () => {
    const { node, pod, apply } = world({ ...SMALL, gso: 524_280, gsoIpv4: 524_280 });
    expect(apply()).toEqual({ packetBytes: { ipv4: 196_608, ipv6: 196_608 }, gro: true });
    expect([node.sizes.get(HOST), pod.sizes.get(1)]).toEqual([BIG, BIG].map((one) => ({ ...SMALL, ...one })));
  });

  test('is a family of its own: the other one stays as it is', () => {
    const { node, apply } = world({ ...SMALL, gso: 100_000 });
    expect(apply()).toMatchObject({
      packetBytes: { ipv4: 65_536, ipv6: 100_000 },
      reason: expect.stringContaining("'ip link set dev up gso_ipv4_max_size 196608 gso_max_size 196608' changes it"),
    });
    expect(node.sizes.get(HOST)).toEqual({ ...SMALL, gso: 100_000, gro: 100_000 });
  });

  test('is not there by an uplink as it comes, and nothing is set', () => {
    const { node, pod, apply } = world(SMALL);
    expect(apply()).toMatchObject({ packetBytes: { ipv4: 65_536, ipv6: 65_536 }, reason: expect.any(String) });
    expect([node.asked, pod.asked]).toEqual([[`${HOST} gro true`], []]);
  });

  test('is not there by a driver or a kernel without it, which is the reason', () => {
    expect(world({ ...SMALL, tso: 65_536 }).offloads().state.reason).toBe(
      'the driver of up takes packets of 65536 bytes at most',
    );
    const { offloads, apply, node } = world({ gso: 196_608, gro: 65_536, tso: 524_280 }, { gso: 65_536, gro: 65_536 });
    expect(offloads().state).toEqual({
      packetBytes: { ipv4: 65_536, ipv6: 196_608 },
      gro: true,
      reason: 'the kernel has no IPv4 packets beyond 64 KiB (6.3)',
    });
    apply();
    expect(node.asked).toEqual([`${HOST} gro true`]); // ends that do not say what they allow get nothing
  });

  test('is taken back from pods when it is switched off', () => {
    const { node, pod, offloads, apply } = world({ ...SMALL, ...BIG }, { ...SMALL, ...BIG });
    expect(apply(offloads({ bigTcp: 'never', gro: 'auto' }))).toEqual({
      packetBytes: { ipv4: 65_536, ipv6: 65_536 },
      gro: true,
    });
    expect([node.sizes.get(HOST), pod.sizes.get(1)]).toEqual([SMALL, SMALL]);
  });

  test('leaves alone what somebody made smaller than usual', () => {
    const { pod, apply } = world(SMALL, { ...SMALL, gso: 32_768, gsoIpv4: 32_768 });
    apply();
    expect(pod.asked).toEqual([]);
  });

  test('that is refused is in the log, and GRO is on all the same', () => {
    const { node, pod, apply, lines } = world({ ...SMALL, ...BIG });
    pod.refusal = 'too big gso_max_size';
    apply();
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { device: 'eth0 behind ist1', reason: 'too big gso_max_size' },
    ]);
    expect(node.gro).toBe(true);
  });
});

test('GRO is set once, and taken off when it is switched off', () => {
  const { node, offloads, apply } = world(SMALL);
  apply();
  apply();
  expect(node.asked).toEqual([`${HOST} gro true`]);
  expect(apply(offloads({ bigTcp: 'auto', gro: 'never' }))).toMatchObject({ gro: false });
  expect(node.asked).toEqual([`${HOST} gro true`, `${HOST} gro false`]);
});
