// `kubectl isthmus` on a machine that is not of the cluster: kubectl, a kubeconfig and the plugin, as docs/operations/kubectl.md says.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import type { CommandResult } from '../../src/testbed/command.js';
import type { Cluster } from './cluster.js';
import { NAMESPACE } from './installation.js';
import type { Kubectl } from './kubectl.js';
import { captureOn } from './machine.js';

export class Plugin {
  readonly #cluster: Cluster;
  readonly #folder: string;

  private constructor(cluster: Cluster, folder: string) {
    this.#cluster = cluster;
    this.#folder = folder;
  }

  /** Takes it from an agent. */
  static async install(cluster: Cluster, kubectl: Kubectl): Promise<Plugin> {
    const folder = `${cluster.plan.directory}/plugins`;
    mkdirSync(folder, { recursive: true });
    const source = ['daemonset/isthmus', '-c', 'agent', '--', 'cat', '/opt/isthmus/bin/kubectl-isthmus'];
    writeFileSync(`${folder}/kubectl-isthmus`, await kubectl.run('exec', '-n', NAMESPACE, ...source));
    chmodSync(`${folder}/kubectl-isthmus`, 0o755);
    return new Plugin(cluster, folder);
  }

  /** `kubectl isthmus WORDS…`; a status other than 0 is not an error. */
  run(...words: string[]): Promise<CommandResult> {
    const { plan, plane } = this.#cluster;
    const path = [this.#folder, plane.programs, '/usr/bin', '/bin'].join(':');
    const env = [`PATH=${path}`, `KUBECONFIG=${plane.certificates.directory}/admin.kubeconfig`];
    return captureOn(plan.outside, ['env', ...env, 'kubectl', 'isthmus', ...words], { timeout: 60_000 });
  }

  /** The items of its JSON, of all nodes that were asked. */
  async items<T>(...words: string[]): Promise<readonly T[]> {
    const { stdout, stderr, status } = await this.run(...words, '-o', 'jsonl');
    if (status !== 0) throw new Error(`kubectl isthmus ${words.join(' ')}: status ${status}: ${stderr}`);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as T);
  }
}
