// Moments as people type them (RFC 3339, or how long ago), and the datapath's clock.
import { usage } from './exit.js';

/** Milliseconds of the epoch, ends included: what was typed without fractions means the whole second. */
export interface Moment {
  readonly from: number;
  readonly to: number;
}

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const AGO = /^(\d+(?:\.\d+)?)\s*([smhdw])(?:\s+ago)?$/;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Throws a usage error. `now`: milliseconds of the epoch. */
export function parseMoment(text: string, now: number): Moment {
  const moment = absolute(text) ?? relative(text, now);
  if (moment === undefined) {
    throw usage(`'${text}' is not a time: write it as 2026-11-21T12:00:00Z, or how long ago: 90s, 15m, 3h, 2d, 1w`);
  }
  if (moment.from > now) throw usage(`'${text}' lies in the future: it is ${new Date(now).toISOString()} now`);
  return moment;
}

function absolute(text: string): Moment | undefined {
  const match = RFC3339.exec(text);
  const from = match === null ? Number.NaN : Date.parse(text.toUpperCase().replace(' ', 'T'));
  if (match === null || Number.isNaN(from)) return undefined;
  return { from, to: match[1] === undefined ? from + 999 : from };
}

function relative(text: string, now: number): Moment | undefined {
  const [, count, unit] = AGO.exec(text.trim()) ?? [];
  const seconds = UNITS[unit ?? ''];
  if (count === undefined || seconds === undefined) return undefined;
  const second = Math.floor((now - Number(count) * seconds * 1000) / 1000) * 1000;
  return { from: second, to: second + 999 };
}

/** Now, by the clock that the datapath stamps flows with. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000_000n);
}
