// One result of a check, and how many were good.
import type { Family } from '../model/address.js';
import type { CaseProtocol } from './cases.js';
import type { LabMode } from './plan.js';

export interface Row {
  readonly name: string;
  readonly family: Family | '-';
  readonly protocol: CaseProtocol | '-';
  readonly from: string;
  readonly to: string;
  /** Source address and port that the server saw. */
  readonly saw: string;
  readonly expected: string;
  readonly ok: boolean;
  readonly ms: number;
  /** Why it failed, or what else was measured. */
  readonly detail: string;
}

export interface LabCheck {
  readonly apiVersion: 'isthmus.dev/v1';
  readonly kind: 'LabCheck';
  readonly mode: LabMode;
  readonly cases: readonly Row[];
  readonly summary: { readonly total: number; readonly ok: number; readonly failed: number; readonly seconds: number };
}

export function summarize(mode: LabMode, cases: readonly Row[], seconds: number): LabCheck {
  const ok = cases.filter((row) => row.ok).length;
  const summary = { total: cases.length, ok, failed: cases.length - ok, seconds: Number(seconds.toFixed(1)) };
  return { apiVersion: 'isthmus.dev/v1', kind: 'LabCheck', mode, cases, summary };
}
