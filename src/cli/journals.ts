// The journals of block grants that a command reads: those of the wanted instances, or one that was copied elsewhere.
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { Instance } from '../api/instances.js';
import { JOURNAL_NAME, JournalReadError } from '../api/journal-segments.js';
import { createOutput, openContext } from './context.js';
import { CliError, EXIT } from './exit.js';
import { globalOptions } from './options.js';
import type { Output } from './output.js';

/** Where a journal is, and whose. */
export interface JournalPlace {
  readonly directory: string;
  /** undefined when only a directory was named. */
  readonly instance?: Instance;
}

/** Adds the option that names a journal directly. */
export function addJournalOption(command: Command): Command {
  return command.option('--journal-dir <dir>', 'read this journal, also one that was copied from its node');
}

/** Throws CliError. */
export async function openJournals(
  command: Command,
  directory: string | undefined,
): Promise<{ places: JournalPlace[]; output: Output }> {
  if (directory !== undefined) return { places: [{ directory }], output: createOutput(globalOptions(command), false) };
  const { instances, output } = await openContext(command);
  return { places: instances.map((instance) => ({ directory: journalOf(instance), instance })), output };
}

/** The setting of the agent that wrote the state, else where it is by default. */
export function journalOf({ state, stateDir }: Instance): string {
  return state.settings.find(({ name }) => name === 'journalDir')?.value ?? join(stateDir, JOURNAL_NAME);
}

/** Runs a read of a journal; what goes wrong ends the command with a fitting exit code. */
export function readingJournal<T>(directory: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof JournalReadError)) throw cause;
    if (cause.code === 'ERR_JOURNAL_PERMISSION') {
      throw new CliError(EXIT.permission, `${cause.message}; run as root`, { cause });
    }
    const advice = `has an agent run with its state in ${dirname(directory)}? --journal-dir names another place`;
    throw new CliError(EXIT.unreachable, `${cause.message}; ${advice}`, { cause });
  }
}
