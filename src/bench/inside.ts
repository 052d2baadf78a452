// Processes of ours inside one of the namespaces, on the benchmark's CPU: asked by lines of JSON, they answer likewise.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { enter } from '../testbed/command.js';
import { ROOT } from '../testbed/files.js';

/** A process that does one job until it is closed, or until we are gone. */
export interface Inside {
  /** Rejects when the process reports an error, ends, or does not answer in time. One question at a time. */
  ask<T>(question: object): Promise<T>;
  close(): void;
}

export interface InsideOptions {
  /** A job of inside-main.ts. */
  readonly job: string;
  readonly netns: string;
  readonly cpu: number;
  /** Nothing but interrupts comes before it; true when absent. */
  readonly realTime?: boolean;
  /** Most milliseconds until an answer; 20 s when absent. */
  readonly answerMs?: number;
}

const MAIN = `${ROOT}/build/src/bench/inside-main.js`;
/** A real-time process that does not answer may hold its CPU: it does not get longer than this. */
const ANSWER_MS = 20_000;

export function openInside({ job, netns, cpu, realTime = true, answerMs = ANSWER_MS }: InsideOptions): Inside {
  const [file = '', ...args] = enter([process.execPath, MAIN, job, String(cpu), realTime ? 'fifo' : 'other'], {
    netns,
  });
  const child = spawn(file, args);
  let said = '';
  let waiting: PromiseWithResolvers<unknown> | undefined;
  const fail = (reason: string): void => waiting?.reject(new Error(`${job} in ${netns}: ${reason}`));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  child.stdin.on('error', () => {});
  child.on('error', (error) => fail(error.message));
  child.on('close', (status) => fail(`ended with status ${status}: ${said.trim() || 'it said nothing'}`));
  createInterface(child.stdout).on('line', (line) => {
    const { error, answer } = JSON.parse(line) as { error?: string; answer?: unknown };
    if (error === undefined) waiting?.resolve(answer);
    else fail(error);
  });
  const ask = async (question: object): Promise<unknown> => {
    waiting = Promise.withResolvers<unknown>();
    if (child.exitCode !== null || child.signalCode !== null) fail(`has ended: ${said.trim()}`);
    const deadline = setTimeout(() => {
      fail(`did not answer within ${answerMs / 1000} s`);
      child.kill('SIGKILL');
    }, answerMs);
    child.stdin.write(`${JSON.stringify(question)}\n`);
    return waiting.promise.finally(() => clearTimeout(deadline));
  };
  return {
    ask: ask as Inside['ask'],
    close() {
      child.stdin.end();
    },
  };
}
