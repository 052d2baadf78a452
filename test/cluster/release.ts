// The agent as Helm keeps it: installed, upgraded to another image and rolled back as people do it, by the chart.
import { run } from '../../src/testbed/command.js';
import { ROOT } from '../../src/testbed/files.js';
import type { Cluster } from './cluster.js';
import { AGENT_IMAGE } from './images.js';
import { NAMESPACE } from './installation.js';
import { API_PORT } from './plan.js';

const NAME = 'isthmus';
const CHART = `${ROOT}/deploy/helm/isthmus`;
const TIMEOUT_MS = 120_000;

export class Release {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** With the chart's own values, but for what is of this machine; returns when the API server has all objects. */
  install(): Promise<string> {
    const values = {
      image: imageOf(AGENT_IMAGE),
      apiServer: { host: this.#cluster.plan.controlPlane.addresses.ipv4, port: API_PORT },
      cgroup: '/host/cgroup/unified',
    };
    return this.#helm(['install', NAME, CHART, '--create-namespace'], values);
  }

  upgrade(image: string): Promise<string> {
    return this.#helm(['upgrade', NAME, CHART, '--reuse-values'], { image: imageOf(image) });
  }

  /** To the revision before. */
  rollback(): Promise<string> {
    return this.#helm(['rollback', NAME]);
  }

  #helm(args: readonly string[], values?: object): Promise<string> {
    const { machine, programs, certificates } = this.#cluster.plane;
    const home = `${this.#cluster.plan.directory}/helm`;
    const homes = ['CACHE', 'CONFIG', 'DATA'].map((kind) => `HELM_${kind}_HOME=${home}`);
    const where = [`--kubeconfig=${certificates.directory}/admin.kubeconfig`, '--namespace', NAMESPACE];
    const given = values === undefined ? [] : ['--values', '-'];
    const options = { netns: machine.netns, timeout: TIMEOUT_MS, input: JSON.stringify(values ?? '') };
    return run(['env', ...homes, `${programs}/helm`, ...args, ...given, ...where], options);
  }
}

function imageOf(name: string) {
  const [repository, tag] = name.split(':');
  return { repository, tag };
}
