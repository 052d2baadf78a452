// What a running lab is: identity, mode and the addresses its pods got; one file, replaced atomically.
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressPair, LabMode } from './plan.js';
import { LAB_DIR } from './plan.js';

export type AttachChoice = 'auto' | 'tcx' | 'clsact';

export interface LabRecord {
  /** Tells this lab from one that is built after it: a reaper removes only its own. */
  readonly id: string;
  readonly mode: LabMode;
  readonly attach: AttachChoice;
  /** RFC 3339. */
  readonly created: string;
  /** By pod id; empty until the pods are wired. */
  readonly pods: Readonly<Record<string, AddressPair>>;
}

export class LabError extends Error {
  readonly code = 'ERR_LAB';
}

const RECORD = `${LAB_DIR}/lab.json`;

export function newRecord(mode: LabMode, attach: AttachChoice, id: string = randomUUID()): LabRecord {
  return { id, mode, attach, created: new Date().toISOString(), pods: {} };
}

/** undefined when no lab is up, or when only an unreadable half of one is left. */
export function readRecord(): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8')) as LabRecord;
  } catch {
    return undefined;
  }
}

/** The record of the lab that must be up. Throws LabError. */
export function requireRecord(): LabRecord {
  const record = readRecord();
  if (record) return record;
  throw new LabError(`no lab is up: ${RECORD} does not exist. Nothing was changed. Bring one up with: isthmus lab up`);
}

export function writeRecord(record: LabRecord): void {
  writeAtomically(RECORD, `${JSON.stringify(record, undefined, 2)}\n`);
}

export function deleteRecord(): void {
  rmSync(LAB_DIR, { recursive: true, force: true });
}

/** A reader sees the old contents or the new, never half of them. */
export function writeAtomically(path: string, text: string): void {
  const slash = path.lastIndexOf('/');
  const directory = path.slice(0, slash);
  mkdirSync(directory, { recursive: true });
  const temporary = `${directory}/.${path.slice(slash + 1)}.new`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
