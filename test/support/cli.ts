// Runs the built command line as a child process.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../../build/src/cli/main.js');

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `isthmus` with arguments to its end. Throws when it is not built. */
export function runCli(...args: readonly string[]): Promise<CliResult> {
  return run(args, {});
}

const NOBODY = 65_534;

/** The same without root's privileges. */
export function runUnprivileged(...args: readonly string[]): Promise<CliResult> {
  return run(args, process.geteuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {});
}

async function run(args: readonly string[], identity: { uid?: number; gid?: number }): Promise<CliResult> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} does not exist: run \`npm run build\` first`);
  const env = { ...process.env, NO_COLOR: '1' };
  const child = spawn(process.execPath, [MAIN, ...args], { env, timeout: 30_000, ...identity });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  return { status, stdout, stderr };
}
