// A cluster source in a process of its own whose wall clock is wrong, by libfaketime.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname.replace(/(\/build)?\/test\/.*$/, ''), 'build/test/support/skewed-source-main.js');

/** The library, of the Debian package libfaketime; undefined where it is not installed. */
export const FAKETIME = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1').find((path) => existsSync(path));

export class SkewedSource implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #clock: string;
  #said = '';

  /** `skew` such as `+2h` or `-2h`; files go to the directory. */
  constructor(kubeconfig: string, directory: string, skew: string) {
    this.#clock = join(directory, 'clock');
    this.setClock(skew);
    this.#child = spawn(process.execPath, [MAIN, kubeconfig], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        LD_PRELOAD: FAKETIME,
        FAKETIME_TIMESTAMP_FILE: this.#clock,
        FAKETIME_NO_CACHE: '1',
        // Timers go by another clock, which nobody sets.
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      },
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
  }

  setClock(skew: string): void {
    writeFileSync(this.#clock, skew);
  }

  /** Messages of its log, and `synced`. */
  messages(): Readonly<Record<string, unknown>>[] {
    const lines = this.#said.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    await ended;
  }
}
