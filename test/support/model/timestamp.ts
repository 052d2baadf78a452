// The timestamps of a TCP segment (RFC 7323), and what it takes to move them.
import { ETHERNET_BYTES, PROTOCOL } from '../packet-layer.js';
import { change } from './rewrite.js';
import { isLater, TCP, type View } from './view.js';

/** What a server remembers of a connection, and what it measures the next one by (RFC 6191). */
export interface Numbers {
  readonly timestamp: number | undefined;
  /** After the segment's last byte. */
  readonly sequence: number;
}

/** The numbers of a segment; undefined when it has no header. */
export function numbersOf(view: View): Numbers | undefined {
  const { tcp, bytes, transport } = view;
  if (tcp === undefined || view.tuple.protocol !== PROTOCOL.tcp || isLater(view)) return undefined;
  const payload = bytes.length - transport - tcp.bytes;
  const extra = (tcp.flags & TCP.syn ? 1 : 0) + (tcp.flags & TCP.fin ? 1 : 0);
  const at = timestampAt(view);
  return {
    sequence: (bytes.readUInt32BE(transport + 4) + payload + extra) >>> 0,
    timestamp: at === undefined ? undefined : bytes.readUInt32BE(at + 2),
  };
}

/** Offset of the option in the packet. */
function timestampAt({ tcp, bytes, transport }: View): number | undefined {
  const end = transport + (tcp?.bytes ?? 0);
  for (let at = transport + 20; at + 1 < end; ) {
    const [kind, length] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)];
    if (kind === 1) at++;
    else if (kind === 0 || length < 2) return undefined;
    else if (kind === 8 && length === 10 && at + 10 <= end) return at;
    else at += length;
  }
  return undefined;
}

/** Whether `a` comes after `b` in a sequence space of 32 bits (RFC 1323 section 4.2.1). */
export function isNewer(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/** Moves what the sender says of its own clock, or what it echoes of the other's, by so much. */
export function moveTimestamps(frame: Buffer, view: View, { echo, by }: { echo: boolean; by: number }): void {
  const at = numbersOf(view) === undefined ? undefined : timestampAt(view);
  // An echo says something only with ACK (RFC 7323 section 3.2).
  if (by === 0 || at === undefined || (echo && !((view.tcp?.flags ?? 0) & TCP.ack))) return;
  const segment = frame.subarray(ETHERNET_BYTES + view.transport);
  const field = at - view.transport + (echo ? 6 : 2);
  change(segment, 16, [field & ~1, (field + 5) & ~1], () =>
    segment.writeUInt32BE((segment.readUInt32BE(field) + by) >>> 0, field),
  );
}
