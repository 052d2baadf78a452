// What is told of a drop: a counter always, and an event with the beginning of the packet, but not too often.
import { afterEach, expect, it } from 'vitest';
import type { EventReader } from '../../../src/bpf/ring-buffer.js';
import { DIRECTION, DROP_REASON, type DropEvent } from '../../../src/datapath/types.gen.js';
import type { TestDatapath } from '../../support/datapath.js';
import { describeDatapath } from '../../support/packet-case.js';
import { from, V4, V6 } from '../../support/world.js';

const EVENT_BYTES = 96;
const EVENTS_PER_SECOND = 32;

describeDatapath({ name: 'events', file: import.meta.filename }, (get) => {
  let reader: EventReader | undefined;
  afterEach(() => reader?.close());

  /** What was told while `body` ran; waits for `count` events. */
  async function eventsOf(body: (datapath: TestDatapath) => void, count: number): Promise<DropEvent[]> {
    const events: DropEvent[] = [];
    reader = get().object.readEvents('events', (some) => {
      for (const { type, value } of some) {
        expect(type).toBe('drop_event');
        events.push(value as DropEvent);
      }
    });
    await new Promise((wake) => setTimeout(wake, 20)); // what earlier tests left in the ring
    events.length = 0;
    body(get());
    const deadline = Date.now() + 2000;
    while (events.length < count && Date.now() < deadline) await new Promise((wake) => setTimeout(wake, 5));
    return events;
  }

  it('an event has the reason, the direction, the device, the length and the first 96 bytes', async () => {
    const packet = from('b')
      .ip({ source: V4.a, destination: V4.remote })
      .udp({ source: 1, destination: 2 })
      .payload(500);
    const before = process.hrtime.bigint();
    const [event, ...others] = await eventsOf((datapath) => datapath.run('b', packet), 1);
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      reason: DROP_REASON.DROP_SPOOFED,
      direction: DIRECTION.DIRECTION_FROM_CONTAINER,
      ifindex: get().ifindex.b,
      length: packet.bytes().length,
    });
    expect(Buffer.from(event?.packet ?? []).toString('hex')).toBe(packet.bytes().toString('hex', 0, EVENT_BYTES));
    expect((event?.header.time ?? 0n) >= before && (event?.header.time ?? 0n) <= process.hrtime.bigint()).toBe(true);
  });

  it('a short packet is followed by zeroes', async () => {
    const packet = from('a').ip({ source: V4.b, destination: V4.remote }).udp({ source: 1, destination: 2 });
    const [event] = await eventsOf((datapath) => datapath.run('a', packet), 1);
    const wanted = Buffer.concat([packet.bytes(), Buffer.alloc(EVENT_BYTES)]).subarray(0, EVENT_BYTES);
    expect(Buffer.from(event?.packet ?? []).toString('hex')).toBe(wanted.toString('hex'));
    expect(event?.length).toBe(42);
  });

  it('a packet that is answered is told of as it was', async () => {
    const packet = from('uplink').ip({ source: V6.remote, destination: V6.nobody }).tcp({ source: 1, destination: 2 });
    const [event] = await eventsOf((datapath) => datapath.run('uplink', packet), 1);
    expect(event).toMatchObject({ reason: DROP_REASON.DROP_NO_ENDPOINT, direction: DIRECTION.DIRECTION_FROM_NETDEV });
    expect(Buffer.from(event?.packet ?? []).toString('hex', 0, 74)).toBe(packet.bytes().toString('hex'));
  });

  it('a flood is counted in full and told of in part, each reason for itself', async () => {
    const spoofed = from('a').ip({ source: V4.b, destination: V4.remote }).udp({ source: 1, destination: 2 });
    const multicast = from('a').ip({ source: V4.a, destination: '224.0.0.1' }).udp({ source: 1, destination: 2 });
    const events = await eventsOf((datapath) => {
      for (let index = 0; index < 500; index++) datapath.run('a', spoofed);
      datapath.run('a', multicast);
    }, EVENTS_PER_SECOND + 1);
    expect(get().drops()).toEqual({ DROP_SPOOFED: 500, DROP_NOT_ROUTABLE: 1 });
    const reasons = Map.groupBy(events, ({ reason }) => reason);
    const told = reasons.get(DROP_REASON.DROP_SPOOFED)?.length ?? 0;
    expect(told).toBeGreaterThanOrEqual(EVENTS_PER_SECOND);
    expect(told).toBeLessThanOrEqual(3 * EVENTS_PER_SECOND); // a second or two may have begun meanwhile
    expect(reasons.get(DROP_REASON.DROP_NOT_ROUTABLE)).toHaveLength(1);
  });

  it('counters are kept by reason and by direction', () => {
    const device = { a: V4.b, uplink: V4.remote } as const;
    for (const [name, source] of Object.entries(device)) {
      const packet = from(name as 'a' | 'uplink')
        .ipv4({ source, destination: V4.a, checksum: 1 })
        .udp({ source: 1, destination: 2 });
      get().run(name as 'a' | 'uplink', packet);
    }
    const keys = [...get().maps.drops.scan()].map(([key]) => key).sort((x, y) => x.direction - y.direction);
    expect(keys).toEqual([
      { reason: DROP_REASON.DROP_MALFORMED, direction: DIRECTION.DIRECTION_FROM_CONTAINER },
      { reason: DROP_REASON.DROP_MALFORMED, direction: DIRECTION.DIRECTION_FROM_NETDEV },
    ]);
  });

  it('what passes is neither counted nor told of', async () => {
    const packet = from('a').ip({ source: V4.a, destination: V4.b }).udp({ source: 1, destination: 2 });
    expect(await eventsOf((datapath) => datapath.run('a', packet), 0)).toEqual([]);
    expect(get().drops()).toEqual({});
  });
});
