// Traffic of the tests: from machines, from pods, and for as long as something else happens.
import type { ProbeReport } from '../../src/lab/probe.js';
import type { Family } from '../../src/model/address.js';
import { familyOf } from '../../src/model/address.js';
import { pause } from '../../src/testbed/command.js';
import type { Kubectl, KubernetesObject } from './kubectl.js';
import { captureOn } from './machine.js';
import type { ClusterPlan, Machine } from './plan.js';
import { probeOf } from './plan.js';
import { senderManifest } from './workload.js';

export interface Pod extends KubernetesObject {
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly podIPs?: readonly { readonly ip: string }[]; readonly phase: string };
}

/** Of one family; throws when the pod has none. */
export function podAddress({ metadata, status }: Pod, family: Family): string {
  const found = (status.podIPs ?? []).find(({ ip }) => familyOf(ip) === family);
  if (found === undefined) throw new Error(`pod ${metadata.name} has no address of ${family}`);
  return found.ip;
}

/** What the server saw, without the port. */
export function sawAddress({ saw = '' }: ProbeReport): string {
  return saw.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

export async function probeFrom(plan: ClusterPlan, machine: Machine, argv: readonly string[]): Promise<ProbeReport> {
  const { stdout, stderr } = await captureOn(machine, [probeOf(plan), ...argv], { timeout: 180_000 });
  return reportOf(stdout, stderr);
}

export async function probeFromPod(kubectl: Kubectl, pod: string, argv: readonly string[]): Promise<ProbeReport> {
  const { stdout, stderr } = await kubectl.capture('exec', pod, '--', '/isthmus-probe', ...argv);
  return reportOf(stdout, stderr);
}

/** A pod that sends by itself: it does not need the API server while it does. */
export class Sender {
  readonly #kubectl: Kubectl;
  readonly #name: string;

  private constructor(kubectl: Kubectl, name: string) {
    this.#kubectl = kubectl;
    this.#name = name;
  }

  /** Resolves when it runs. */
  static async start(kubectl: Kubectl, name: string, of: { node: string; argv: readonly string[] }): Promise<Sender> {
    await kubectl.apply(senderManifest(name, of.node, of.argv));
    await kubectl.run('wait', `pod/${name}`, '--for=jsonpath={.status.phase}=Running', '--timeout=30s');
    return new Sender(kubectl, name);
  }

  async report(seconds: number): Promise<ProbeReport> {
    const done = `--for=jsonpath={.status.containerStatuses[0].state.terminated.reason}`;
    await this.#kubectl.run('wait', `pod/${this.#name}`, done, `--timeout=${seconds}s`);
    return reportOf(await this.#kubectl.run('logs', this.#name), '');
  }

  async remove(): Promise<void> {
    await this.#kubectl.run('delete', 'pod', this.#name, '--wait=true', '--timeout=30s');
  }
}

/** New connections, one after the other, until it is told to stop. */
export class Requests {
  #stopped = false;
  readonly #failures: string[] = [];
  #count = 0;
  readonly #done: Promise<void>;

  constructor(ask: () => Promise<ProbeReport>) {
    this.#done = this.#run(ask);
  }

  async stop(): Promise<{ readonly count: number; readonly failures: readonly string[] }> {
    this.#stopped = true;
    await this.#done;
    return { count: this.#count, failures: this.#failures };
  }

  async #run(ask: () => Promise<ProbeReport>): Promise<void> {
    while (!this.#stopped) {
      const report = await ask();
      this.#count++;
      if (!report.ok) this.#failures.push(report.error ?? 'wrong answer');
      await pause(20);
    }
  }
}

function reportOf(stdout: string, stderr: string): ProbeReport {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (line.startsWith('{')) return JSON.parse(line) as ProbeReport;
  return { ok: false, ms: 0, error: stderr.trim() || 'it said nothing' };
}
