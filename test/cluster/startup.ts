// How long pods take from their creation to being ready, as somebody who watches them sees it.
import { type ChildProcess, spawn } from 'node:child_process';
import { enter, until } from '../../src/testbed/command.js';
import type { Kubectl } from './kubectl.js';

const LINE = '{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}';

export class StartupWatch implements Disposable {
  readonly #child: ChildProcess;
  readonly #seen = new Map<string, number>();
  readonly #ready = new Map<string, number>();

  /** From now on, pods of a namespace. */
  constructor(kubectl: Kubectl, namespace: string) {
    const argv = kubectl.argv('get', 'pods', '-n', namespace, '--watch', '-o', `jsonpath=${LINE}`);
    const [file = '', ...args] = enter(argv, { netns: kubectl.netns });
    this.#child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (part: string) => {
      const lines = (text + part).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    });
  }

  /** Milliseconds of each pod once so many are ready; of as many as there are when that takes too long. */
  async wait(count: number, milliseconds: number): Promise<number[]> {
    await until(() => this.#ready.size >= count, milliseconds);
    return [...this.#ready.values()];
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
  }

  #take(line: string): void {
    const [name = '', ready] = line.split(' ');
    const now = performance.now();
    const since = this.#seen.get(name) ?? now;
    this.#seen.set(name, since);
    if (ready === 'True' && !this.#ready.has(name)) this.#ready.set(name, now - since);
  }
}
