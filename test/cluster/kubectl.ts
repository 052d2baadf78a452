// kubectl on the control plane's machine, with the rights of an administrator.
import type { Family } from '../../src/model/address.js';
import type { CommandResult } from '../../src/testbed/command.js';
import { capture, run } from '../../src/testbed/command.js';
import type { ControlPlane } from './control-plane.js';

interface ServiceObject extends KubernetesObject {
  readonly spec: { readonly clusterIPs: readonly string[] };
}

export interface KubernetesObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
  };
}

const TIMEOUT_MS = 120_000;

export class Kubectl {
  readonly #plane: ControlPlane;

  constructor(plane: ControlPlane) {
    this.#plane = plane;
  }

  /** Its argument vector, for whoever runs it as a process of its own. */
  argv(...args: string[]): string[] {
    const { programs, certificates } = this.#plane;
    return [`${programs}/kubectl`, `--kubeconfig=${certificates.directory}/admin.kubeconfig`, ...args];
  }

  /** The namespace in which it runs. */
  get netns(): string {
    return this.#plane.machine.netns;
  }

  /** Throws CommandError with what it said. */
  run(...args: string[]): Promise<string> {
    return run(this.argv(...args), { netns: this.netns, timeout: TIMEOUT_MS });
  }

  /** A status other than 0 is not an error. */
  capture(...args: string[]): Promise<CommandResult> {
    return capture(this.argv(...args), { netns: this.netns, timeout: TIMEOUT_MS });
  }

  /** Applies manifests given as text. */
  apply(manifests: string): Promise<string> {
    return run(this.argv('apply', '-f', '-'), { netns: this.netns, timeout: TIMEOUT_MS, input: manifests });
  }

  /** The items of a list. */
  async list<T extends KubernetesObject>(...args: string[]): Promise<readonly T[]> {
    return (JSON.parse(await this.run('get', ...args, '-o', 'json')) as { items: readonly T[] }).items;
  }

  /** The cluster IPs of a Service, of the default namespace unless `more` names another. */
  async serviceAddresses(name: string, ...more: string[]): Promise<Readonly<Record<Family, string>>> {
    const found = await this.list<ServiceObject>('service', `--field-selector=metadata.name=${name}`, ...more);
    const [ipv4 = '', ipv6 = ''] = found[0]?.spec.clusterIPs ?? [];
    return { ipv4, ipv6 };
  }
}
