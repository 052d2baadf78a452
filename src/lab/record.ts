// What a running lab is: identity, mode and the addresses its pods got; one file, replaced atomically.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeAtomically } from '../testbed/atomic-file.js';
import { TestbedError } from '../testbed/error.js';
import type { AddressPair, AgentChoices } from '../testbed/node.js';
import type { LabMode } from './plan.js';
import { LAB_DIR } from './plan.js';

export interface LabRecord {
  /** Tells this lab from one that is built after it: a reaper removes only its own. */
  readonly id: string;
  readonly mode: LabMode;
  readonly choices: AgentChoices;
  /** RFC 3339. */
  readonly created: string;
  /** By pod id; empty until the pods are wired. */
  readonly pods: Readonly<Record<string, AddressPair>>;
}

export class LabError extends TestbedError {
  override readonly code = 'ERR_LAB';
}

const RECORD = `${LAB_DIR}/lab.json`;

export function newRecord(mode: LabMode, choices: AgentChoices, id: string = randomUUID()): LabRecord {
  return { id, mode, choices, created: new Date().toISOString(), pods: {} };
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
