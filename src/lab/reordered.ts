// Datagrams whose fragments are sent in reversed order: the first one, which alone carries ports, comes last.
import { addressOf } from './directory.js';
import type { CaseRun, Judgement } from './probe.js';
import { runProbe } from './probe.js';

const COUNT = 20;
const NUMBERS = { size: 8000, count: COUNT, rate: 500, order: 'reversed', timeout: 500 };
/** Identifier of the echo requests, where others have a port. */
const IDENTIFIER = 77;

/** Good when every datagram comes back as it was sent. */
export async function sendReordered({ directory, of, place, target }: CaseRun): Promise<Judgement> {
  const flags = Object.entries(NUMBERS).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const port = of.protocol === 'ICMP' ? IDENTIFIER : target.port;
  const bind = of.from.endsWith('/narrow') ? ['--bind', addressOf(directory, of.from, of.family)] : [];
  const argv = ['fragments', of.protocol.toLowerCase(), target.address, String(port), ...flags, ...bind];
  const report = await runProbe(argv, place);
  const { received = 0, damaged = 0, error } = report;
  const ok = received === COUNT && damaged === 0;
  const detail = ok ? `${NUMBERS.size} bytes each` : `${damaged} damaged${error === undefined ? '' : `; ${error}`}`;
  return { saw: `${received} of ${COUNT}`, expected: `${COUNT} of ${COUNT}`, ok, detail };
}
