// traceroute and mtr, the programs themselves: every hop must say so, also across a translation.
import { capture } from '../testbed/command.js';
import { addressOf, nameOf } from './directory.js';
import type { CaseRun, Judgement } from './probe.js';

const HOPS_MAX = 8;
/** Both programs give a probe up that a busy machine answers late; a hop that is missing is missing each time. */
const TRIES = 3;
/** Of `mtr`: rounds, seconds between its packets, and seconds that it waits at the end. */
const MTR_PACE = ['-c', '2', '-i', '0.1', '-G', '0.5'];

interface Traced {
  /** Addresses, in the order of hops; `*` where nobody answered. */
  readonly hops: readonly string[];
  readonly said: string;
}

/** Good when the hops are the expected ones and the target the last of them. */
export async function traceHops(run: CaseRun): Promise<Judgement> {
  const { directory, of, target } = run;
  const wanted = [...(of.hops ?? []).map((name) => addressOf(directory, name, of.family)), target.address];
  const name = (hop: string): string => (hop === target.address ? of.to : nameOf(directory, hop));
  const names = (hops: readonly string[]): string => hops.map(name).join(' > ');
  const trace = of.action === 'trace' ? traceroute : mtr;
  const isWanted = (hops: readonly string[]): boolean => hops.join() === wanted.join();
  let { hops, said } = await trace(run);
  for (let tries = 1; tries < TRIES && !isWanted(hops); tries++) ({ hops, said } = await trace(run));
  const ok = isWanted(hops);
  return { saw: names(hops) || '-', expected: names(wanted), ok, detail: ok ? '' : said };
}

async function traceroute({ of, place, target }: CaseRun): Promise<Traced> {
  const kind = { TCP: ['-T', '-p', String(target.port)], UDP: [], ICMP: ['-I'] }[of.protocol];
  const argv = ['traceroute', '-n', '-q', '1', '-w', '2', '-m', String(HOPS_MAX), ...kind, target.address];
  const { stdout, stderr } = await capture(argv, place);
  // ` 2  192.0.2.1  0.034 ms`; the first line is a title.
  const hops = stdout.split('\n').flatMap((line) => /^\s*\d+\s+(\S+)/.exec(line)?.[1] ?? []);
  return { hops, said: (stderr || stdout).trim().replaceAll('\n', '; ') };
}

async function mtr({ of, place, target }: CaseRun): Promise<Traced> {
  const kind = { TCP: ['--tcp', '--port', String(target.port)], UDP: ['--udp'], ICMP: [] }[of.protocol];
  const argv = ['mtr', '-n', '--csv', ...MTR_PACE, '-m', String(HOPS_MAX), ...kind, target.address];
  const { stdout, stderr } = await capture(argv, place);
  const hops = stdout.split('\n').flatMap(mtrHop);
  return { hops, said: (stderr || stdout).trim().replaceAll('\n', '; ') };
}

/** `MTR.0.95,1795310000,OK,198.51.100.30,1,192.0.2.11,0.00,2,…`: its sixth field, when nothing of it was lost. */
function mtrHop(line: string): string[] {
  const [program = '', , , , , host = '', lost = ''] = line.split(',');
  if (!/^MTR\.\d/.test(program)) return [];
  return [Number.parseFloat(lost) === 0 ? host : '*'];
}
