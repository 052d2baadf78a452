// Random packets, valid and spoilt, through both hooks of two datapaths that must agree on everything.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { contains } from '../../../src/model/address.js';
import { INSIDE, type Outcome, TestDatapath } from '../../support/datapath.js';
import { describeIsolated } from '../../support/isolated.js';
import { type ChecksumState, parseFrame, parseTransport, printFrame } from '../../support/packet-text.js';
import { type RandomPacket, randomPacket } from '../../support/random-packet.js';
import { type Addresses, NODE_PORT, V4, V6 } from '../../support/world.js';

/** Sequences of packets, so that flows and fragments of some meet others. */
const RUNS = 400;
const LENGTH = 25;

describeIsolated('fuzz', import.meta.filename, () => {
  let fast: TestDatapath;
  let slow: TestDatapath;
  beforeAll(async () => {
    fast = await TestDatapath.open({ config: { fast_checksum: 1 } });
    slow = await TestDatapath.open({ config: { fast_checksum: 0 } });
  });
  afterAll(() => {
    fast[Symbol.dispose]();
    slow[Symbol.dispose]();
  });

  it('agrees, leaks no inside address, and keeps correct checksums correct', { timeout: 300_000 }, () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(randomPacket, { minLength: LENGTH, maxLength: LENGTH }), (packets) => {
        for (const datapath of [fast, slow]) prepare(datapath);
        for (const packet of packets) {
          const [one, other] = [fast, slow].map((datapath) => datapath.run(packet.device, packet.frame));
          if (one === undefined || other === undefined) throw new Error('a run without an outcome');
          expect(textOf(one)).toEqual(textOf(other));
          expect(one.bytes.equals(other.bytes)).toBe(true);
          expectSound(packet, one);
          seen.set(`${packet.device} ${one.verdict}`, (seen.get(`${packet.device} ${one.verdict}`) ?? 0) + 1);
        }
        expect(fast.flows()).toEqual(slow.flows());
        expect(fast.drops()).toEqual(slow.drops());
      }),
      { numRuns: RUNS },
    );
    // The packets are no good when they all end in the same way.
    const kinds = ['a', 'b', 'uplink'].flatMap((device) =>
      ['drop', 'next', 'redirect'].map((verdict) => `${device} ${verdict}`),
    );
    for (const kind of kinds)
      expect([kind, seen.get(kind) ?? 0]).toEqual([kind, expect.toSatisfy((count: number) => count > 20)]);
  });
});

/** One backend a service: which one is chosen is up to chance. */
function prepare(datapath: TestDatapath): void {
  datapath.reset();
  for (const w of [V4, V6]) {
    for (const protocol of [6, 17]) {
      datapath.setService([{ address: w.vip, port: 80, protocol }], [{ address: w.b, port: 8080 }]);
      datapath.setService([{ address: w.node, port: NODE_PORT, protocol }], [{ address: w.far, port: 8080 }]);
      datapath.setService([{ address: w.vip, port: 443, protocol }], []);
    }
  }
}

function textOf({ verdict, bytes }: Outcome): string[] {
  return [verdict, ...printFrame(bytes)];
}

function expectSound({ frame }: RandomPacket, { verdict, bytes }: Outcome): void {
  if (verdict === 'next') expect(bytes.equals(frame)).toBe(true);
  if (verdict !== 'redirect' || bytes.readUInt16BE(12) === 0x0806) return;
  const after = parseFrame(bytes);
  if (after === undefined) throw new Error('what leaves is no IP packet');
  const w = after.family === 'ipv4' ? V4 : V6;
  const leaks = isInside(after.source) && !isInside(after.destination) && !isCluster(w, after.destination);
  expect([after.source, after.destination, leaks]).toEqual([after.source, after.destination, false]);
  const [before, now] = [statesOf(frame), statesOf(bytes)];
  if (before.network !== 'wrong') expect(now.network).not.toBe('wrong');
  if (before.transport !== 'wrong') expect([now.transport, ...printFrame(bytes)]).not.toContain('wrong');
}

function isInside(address: string): boolean {
  return INSIDE.some((cidr) => contains(cidr, address));
}

/** Nodes of the cluster see its pods as they are. */
function isCluster(w: Addresses, address: string): boolean {
  return address === w.node || address === w.otherNode;
}

function statesOf(frame: Buffer): { network: ChecksumState | undefined; transport: ChecksumState | undefined } {
  const network = parseFrame(frame);
  const transport = network === undefined ? undefined : parseTransport(network, frame.subarray(14));
  return { network: network?.checksum, transport: transport?.checksum };
}
