// What programs cost when they were last looked at: the committed figures that the guard compares with.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { ROOT } from '../../testbed/files.js';

const figures = z.record(z.string(), z.number().positive()).readonly();

const schema = z
  .strictObject({
    apiVersion: z.literal('isthmus.dev/v1'),
    kind: z.literal('BenchGuard'),
    /** What instruction counts depend on. */
    kernel: z.string(),
    compiler: z.string(),
    /** What ratios depend on. */
    processor: z.string(),
    /** That the verifier walked, by configuration and program. */
    instructions: figures,
    /** Time of a packet's path, as a multiple of an empty program's. */
    ratios: figures,
  })
  .readonly();

/** What one look at the programs found, or a committed one. */
export type GuardFigures = z.output<typeof schema>;

export const GUARD_FILE = 'test/bench-guard.json';
const RENEW = 'npm run bench:guard -- --renew writes it anew';

/** Throws an Error that says what to do when there is none, or it is not whole. */
export function readGuard(): GuardFigures {
  const path = `${ROOT}/${GUARD_FILE}`;
  if (!existsSync(path)) throw new Error(`there is no ${GUARD_FILE} to compare with; ${RENEW}`);
  const parsed = schema.safeParse(parse(readFileSync(path, 'utf8')));
  if (parsed.success) return parsed.data;
  throw new Error(`${GUARD_FILE} is not what it should be: ${z.prettifyError(parsed.error)}; ${RENEW}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${GUARD_FILE} is not JSON: ${(cause as Error).message}; ${RENEW}`, { cause });
  }
}

/** Names in order, so that only what changed differs. */
export function writeGuard(found: GuardFigures): void {
  const sorted = (record: GuardFigures['ratios']) => Object.fromEntries(Object.entries(record).sort());
  const text = { ...found, instructions: sorted(found.instructions), ratios: sorted(found.ratios) };
  writeFileSync(`${ROOT}/${GUARD_FILE}`, `${JSON.stringify(text, undefined, 2)}\n`);
}
