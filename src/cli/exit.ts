// Exit codes, and the error that carries one: every way a command can end.

/** 0 ok, 1 unhealthy, 2 usage, 3 cannot reach agent or maps, 4 permission, 5 not found. */
export const EXIT = { ok: 0, unhealthy: 1, usage: 2, unreachable: 3, permission: 4, notFound: 5 } as const;

/** Ends the command with one sentence on stderr and this exit code. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export function usage(message: string): CliError {
  return new CliError(EXIT.usage, message);
}

export function notFound(message: string): CliError {
  return new CliError(EXIT.notFound, message);
}

const CODES: Readonly<Record<string, number>> = {
  ERR_AGENT_DOWN: EXIT.unreachable,
  ERR_AGENT_TIMEOUT: EXIT.unreachable,
  ERR_AGENT_RESPONSE: EXIT.unreachable,
  ERR_AGENT_PERMISSION: EXIT.permission,
  ERR_STATE_MISSING: EXIT.unreachable,
  ERR_STATE_INVALID: EXIT.unreachable,
  ERR_STATE_PERMISSION: EXIT.permission,
  EACCES: EXIT.permission,
  EPERM: EXIT.permission,
};

/** The exit code of any error: its own, the one of its `code`, else 1. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return CODES[code] ?? EXIT.unhealthy;
}
