// Runs a program in a pod, on a node or on an outside host, on this terminal.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { enter } from '../testbed/command.js';
import { planLab } from './plan.js';
import type { LabRecord } from './record.js';
import { LabError } from './record.js';
import { placesOf } from './servers.js';

/** Returns the program's exit status; 128 + signal number when a signal ended it. Throws LabError for an unknown place. */
export async function execIn(record: LabRecord, name: string, argv: readonly string[]): Promise<number> {
  const places = placesOf(planLab(record.mode));
  const place = places.get(name);
  if (!place) throw new LabError(`the lab has no '${name}'; it has ${[...places.keys()].join(', ')}`);
  const [file = '', ...args] = enter(argv, place);
  const child = spawn(file, args, { stdio: 'inherit' });
  // Ctrl-C reaches the program through the terminal; it decides.
  const ignore = (): void => {};
  process.on('SIGINT', ignore);
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
    });
  } finally {
    process.off('SIGINT', ignore);
  }
}
