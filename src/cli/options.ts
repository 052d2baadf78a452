// The options that every command has, from commander's strings to typed values.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { usage } from './exit.js';

export const FORMATS = ['table', 'wide', 'json', 'jsonl', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];

export interface GlobalOptions {
  readonly format: Format;
  readonly headers: boolean;
  readonly stateDir?: string;
  /** Only the instance of this node. */
  readonly node?: string;
}

/** Options of the whole program; they may stand before the noun or behind the verb. */
export function addGlobalOptions(command: Command): Command {
  return command
    .addOption(new Option('-o, --output <format>', 'how to print (default: table)').choices(FORMATS))
    .option('--no-headers', 'print no column names')
    .option('--state-dir <dir>', 'state directory of the agent (default: /run/isthmus, else every node of the lab)')
    .option('--node <name>', 'only this node');
}

/** The global options of a command, given at its end or before the noun; the later place wins. */
export function globalOptions(command: Command): GlobalOptions {
  const stateDir = pick<string>(command, 'stateDir');
  const node = pick<string>(command, 'node');
  return {
    format: pick<Format>(command, 'output') ?? 'table',
    headers: pick<boolean>(command, 'headers') ?? true,
    ...(stateDir === undefined ? {} : { stateDir }),
    ...(node === undefined ? {} : { node }),
  };
}

/** A value that was given on the command line, at the nearest level. */
function pick<T>(command: Command | null, name: string): T | undefined {
  for (let level = command; level !== null; level = level.parent) {
    if (level.getOptionValueSource(name) === 'cli') return level.getOptionValue(name) as T;
  }
  return undefined;
}

/** An option's argument: a whole number of at least 1. */
export function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  throw new InvalidArgumentError('It is not a whole number above 0.');
}

export interface PodRef {
  readonly namespace: string;
  readonly name: string;
}

/** Parses `namespace/name`, or `name` in the given namespace (`default` when absent). */
export function parsePod(text: string, namespace = 'default'): PodRef {
  const [first, second, ...rest] = text.split('/');
  if (first === undefined || first === '' || second === '' || rest.length > 0) {
    throw usage(`'${text}' is not a pod: write NAMESPACE/NAME`);
  }
  return second === undefined ? { namespace, name: first } : { namespace: first, name: second };
}
