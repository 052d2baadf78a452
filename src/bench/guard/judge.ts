// Whether the programs cost more than the committed figures say: what is a regression, and what is noise. Pure.
import type { GuardFigures } from './file.js';

export type CheckResult = 'passed' | 'failed' | 'skipped';

/** One figure beside the committed one. */
export interface Check {
  readonly name: string;
  readonly result: CheckResult;
  readonly said: string;
}

/** Instructions are exact: this much is a decision, and is to be committed. */
const INSTRUCTIONS_MORE = 0.1;
/** Of the million that a kernel walks: beyond, other kernels and compilers are too near to it. */
const INSTRUCTIONS_MOST = 950_000;
/** A ratio takes the clock out; what caches and branches cost on another processor stays in it. */
const RATIO_MORE = { same: 0.1, other: 0.3 } as const;
const COMMIT = 'if that is meant, commit what npm run bench:guard -- --renew writes';

/** By exact numbers; skipped where the kernel or the compiler is another one. */
export function judgeInstructions(file: GuardFigures, found: GuardFigures): Check[] {
  const differing = (['kernel', 'compiler'] as const).filter((fact) => file[fact] !== found[fact]);
  const facts = differing.map((fact) => `the ${fact} is ${found[fact]} and not ${file[fact]}`);
  if (facts.length > 0) return [{ name: 'verified instructions', result: 'skipped', said: facts.join(', and ') }];
  return [
    ...namesOf(file.instructions, found.instructions).map((name) =>
      judgeFigure(`${name}, verified instructions`, file.instructions[name], found.instructions[name], {
        most: (known) => Math.min(known * (1 + INSTRUCTIONS_MORE), INSTRUCTIONS_MOST),
        format: (value) => value.toFixed(0),
      }),
    ),
  ];
}

/** Most of a ratio before it is a regression. */
export function ratioLimit(file: GuardFigures, found: Pick<GuardFigures, 'processor'>): (known: number) => number {
  const more = file.processor === found.processor ? RATIO_MORE.same : RATIO_MORE.other;
  return (known) => known * (1 + more);
}

/** By the best of the attempts: a busy machine makes a path slower, and never faster than it is. */
export function judgeRatios(file: GuardFigures, found: GuardFigures): Check[] {
  return namesOf(file.ratios, found.ratios).map((name) =>
    judgeFigure(`${name}, to an empty program`, file.ratios[name], found.ratios[name], {
      most: ratioLimit(file, found),
      format: (value) => value.toFixed(2),
    }),
  );
}

/** Those whose ratios are above their limit: worth another look. */
export function suspects(file: GuardFigures, found: Pick<GuardFigures, 'processor' | 'ratios'>): string[] {
  const limit = ratioLimit(file, found);
  return Object.entries(found.ratios).flatMap(([name, ratio]) => {
    const known = file.ratios[name];
    return known !== undefined && ratio > limit(known) ? [name] : [];
  });
}

interface Rule {
  /** The most that is no regression. */
  readonly most: (known: number) => number;
  readonly format: (value: number) => string;
}

function judgeFigure(name: string, known: number | undefined, now: number | undefined, { most, format }: Rule): Check {
  if (known === undefined)
    return { name, result: 'failed', said: `${format(now ?? 0)} is in no committed file; ${COMMIT}` };
  if (now === undefined) return { name, result: 'failed', said: `it is gone, and was ${format(known)}; ${COMMIT}` };
  const change = `${format(known)} -> ${format(now)}`;
  if (now <= most(known)) return { name, result: 'passed', said: change };
  return { name, result: 'failed', said: `${change}, and at most ${format(most(known))} is no regression; ${COMMIT}` };
}

function namesOf(...records: readonly GuardFigures['ratios'][]): string[] {
  return [...new Set(records.flatMap((record) => Object.keys(record)))].sort();
}
