// `npm run bench:guard [-- --renew] [-- --report FILE]`: whether the programs cost more than the committed figures say.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { GUARD_FILE, type GuardFigures, readGuard, writeGuard } from './file.js';
import { type Check, judgeInstructions, judgeRatios, suspects } from './judge.js';
import { type Guarded, openGuarded } from './measure.js';

/** A look, and further ones with more batches at what seems slower. */
const BATCHES = 21;
const RETRIES = 3;
const RETRY_BATCHES = 63;
/** Files are renewed by the best of so many looks, as they are judged. */
const RENEWALS = 3;

const { values } = parseArgs({
  options: { renew: { type: 'boolean', default: false }, report: { type: 'string' } },
});
// In real time on one CPU; the runtime's helpers must be able to run, so only this thread.
const cpu = String(availableParallelism() - 1);
execFileSync('taskset', ['--pid', '--cpu-list', cpu, String(process.pid)], { stdio: 'ignore' });
execFileSync('chrt', ['--fifo', '--pid', '1', String(process.pid)], { stdio: 'ignore' });

using guarded = await openGuarded();
if (values.renew) renew(guarded);
else report(check(guarded), values.report);

function renew({ facts, measure }: Guarded): void {
  const ratios = bestOf(Array.from({ length: RENEWALS }, () => measure(RETRY_BATCHES)));
  const rounded = Object.fromEntries(Object.entries(ratios).map(([name, ratio]) => [name, Number(ratio.toFixed(3))]));
  writeGuard({ ...facts, ratios: rounded });
  say(`${GUARD_FILE} written: ${Object.keys(facts.instructions).length} programs, ${Object.keys(ratios).length} paths`);
}

function check({ facts, measure }: Guarded): Check[] {
  const file = readGuard();
  let found: GuardFigures = { ...facts, ratios: measure(BATCHES) };
  for (let retry = 0; retry < RETRIES; retry++) {
    const slow = suspects(file, found);
    if (slow.length === 0) break;
    say(`once more, it may be the machine: ${slow.join('; ')}`);
    found = { ...found, ratios: { ...found.ratios, ...bestOf([found.ratios, measure(RETRY_BATCHES, slow)]) } };
  }
  return [...judgeInstructions(file, found), ...judgeRatios(file, found)];
}

/** The least of each name. */
function bestOf(looks: readonly GuardFigures['ratios'][]): Record<string, number> {
  const names = new Set(looks.flatMap((look) => Object.keys(look)));
  return Object.fromEntries(
    [...names].map((name) => [name, Math.min(...looks.map((look) => look[name] ?? Number.POSITIVE_INFINITY))]),
  );
}

function report(checks: readonly Check[], file: string | undefined): void {
  for (const { name, result, said } of checks) say(`${result.padEnd(7)} ${name}: ${said}`);
  const count = (wanted: Check['result']): number => checks.filter(({ result }) => result === wanted).length;
  const summary = { ok: count('passed'), failed: count('failed'), skipped: count('skipped') };
  if (file !== undefined) writeFileSync(file, `${JSON.stringify({ summary, checks }, undefined, 2)}\n`);
  say(`${summary.ok} passed, ${summary.failed} failed, ${summary.skipped} skipped`);
  if (summary.failed > 0) process.exitCode = 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
