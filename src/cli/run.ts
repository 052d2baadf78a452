// Runs the program: settings common to all commands, and the one place where errors become exit codes.
import { type Command, CommanderError } from 'commander';
import { EXIT, exitCodeOf } from './exit.js';
import { addGlobalOptions } from './options.js';

/** Settings that every command inherits; call it before commands are added. */
export function prepare(program: Command): Command {
  exitQuietlyOnClosedPipe();
  return addGlobalOptions(program)
    .description('Kubernetes dataplane: flat and island pod networking in eBPF')
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what there is)')
    .showSuggestionAfterError(true)
    .exitOverride();
}

/** Parses the arguments, runs the command and sets the exit code; output that is still on its way is not cut. */
export async function finish(program: Command, argv: readonly string[]): Promise<void> {
  try {
    await program.parseAsync(withHelpOption(argv));
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** `isthmus help flow list` as `isthmus flow list --help`, so that the noun's module is loaded first. */
function withHelpOption(argv: readonly string[]): string[] {
  const [node = '', script = '', first, ...rest] = argv;
  return first === 'help' && rest.length > 0 ? [node, script, ...rest, '--help'] : [...argv];
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  if (process.env.ISTHMUS_DEBUG !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return exitCodeOf(error);
}

/** `isthmus flow list | head` ends with head. */
function exitQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(process.exitCode ?? EXIT.ok);
  });
}
