// Datagrams whose fragments are sent in reversed order, so that the first one, which alone carries ports, comes last; or in
// order, but larger than a link on the way takes.
import type { CaseRun, Judgement } from './probe.js';
import { runProbe } from './probe.js';

const COUNT = 20;
const BYTES = 8000;
const NUMBERS = { size: BYTES, count: COUNT, rate: 500, timeout: 500 };
/** Bytes of payload in one fragment. */
const CUTS = {
  reordered: { order: 'reversed', fragment: 1400 },
  recut: { order: 'kept', fragment: 1456 },
} as const;
/** Identifier of the echo requests, where others have a port. */
const IDENTIFIER = 77;

/** Good when every datagram comes back as it was sent. */
export async function sendFragments({ of, place, target }: CaseRun): Promise<Judgement> {
  const numbers = { ...NUMBERS, ...CUTS[of.action === 'recut' ? 'recut' : 'reordered'] };
  const flags = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const port = of.protocol === 'ICMP' ? IDENTIFIER : target.port;
  const argv = ['fragments', of.protocol.toLowerCase(), target.address, String(port), ...flags];
  const { received = 0, damaged = 0, error } = await runProbe(argv, place);
  const ok = received === COUNT && damaged === 0;
  const detail = ok ? `${BYTES} bytes each` : `${damaged} damaged${error === undefined ? '' : `; ${error}`}`;
  return { saw: `${received} of ${COUNT}`, expected: `${COUNT} of ${COUNT}`, ok, detail };
}
