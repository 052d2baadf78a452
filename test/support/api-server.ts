// A real API server on loopback: etcd and kube-apiserver as child processes, with everything in a temporary directory.
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiClient } from '../../src/kubernetes/api-client.js';
import { connect } from '../../src/kubernetes/connect.js';

const PROGRAMS = ['etcd', 'kube-apiserver'];
const START_MS = 50_000;

/** Where the programs are, as envtest looks for them; undefined when there are none. */
export function findAssets(): string | undefined {
  const { KUBEBUILDER_ASSETS: assets, PATH = '' } = process.env;
  const folders = [...(assets ? [assets] : []), ...PATH.split(delimiter)];
  return folders.find((folder) => PROGRAMS.every((program) => existsSync(join(folder, program))));
}

/** Why there is no API server here, for the name of what is skipped. */
export const NO_ASSETS = 'skipped without etcd and kube-apiserver in KUBEBUILDER_ASSETS or PATH';

export class ApiServer implements AsyncDisposable {
  readonly directory: string;
  readonly url: string;
  /** Of a user who may do everything. */
  readonly kubeconfig: string;
  readonly #assets: string;
  readonly #ports: { readonly etcd: number; readonly peer: number; readonly api: number };
  readonly #token = randomBytes(16).toString('hex');
  #etcd: ChildProcess | undefined;
  #api: ChildProcess | undefined;

  private constructor(directory: string, assets: string, ports: readonly number[]) {
    const [etcd = 0, peer = 0, api = 0] = ports;
    this.directory = directory;
    this.#assets = assets;
    this.#ports = { etcd, peer, api };
    this.url = `https://127.0.0.1:${api}`;
    this.kubeconfig = join(directory, 'kubeconfig');
  }

  /** Resolves when it answers. */
  static async start(assets: string): Promise<ApiServer> {
    const directory = await mkdtemp(join(tmpdir(), 'ist-api-'));
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const server = new ApiServer(directory, assets, ports);
    await server.#prepare();
    try {
      server.startEtcd();
      await server.startApi();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  async client(): Promise<ApiClient> {
    return new ApiClient({ connection: await connect(this.kubeconfig) });
  }

  startEtcd(): void {
    const { etcd, peer } = this.#ports;
    const client = `http://127.0.0.1:${etcd}`;
    this.#etcd = this.#spawn('etcd', [
      `--data-dir=${this.directory}/etcd`,
      '--unsafe-no-fsync',
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
    ]);
  }

  async startApi(): Promise<void> {
    const { etcd, api } = this.#ports;
    this.#api = this.#spawn('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${etcd}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${api}`,
      `--cert-dir=${this.directory}/certs`,
      `--token-auth-file=${this.directory}/tokens.csv`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${this.directory}/sa.pub`,
      `--service-account-signing-key-file=${this.directory}/sa.key`,
      '--disable-admission-plugins=ServiceAccount',
    ]);
    await this.#answers();
  }

  /** Ends the API server's process at once, as a crash does. */
  async stopApi(): Promise<void> {
    await end(this.#api);
  }

  async stopEtcd(): Promise<void> {
    await end(this.#etcd);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopApi();
    await this.stopEtcd();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  async #prepare(): Promise<void> {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    await writeFile(join(this.directory, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(join(this.directory, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
    await writeFile(join(this.directory, 'tokens.csv'), `${this.#token},admin,admin,system:masters\n`);
    await writeFile(this.kubeconfig, JSON.stringify(this.#config()));
  }

  #config(): object {
    const cluster = { server: this.url, 'certificate-authority': `${this.directory}/certs/apiserver.crt` };
    return {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token: this.#token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    };
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(join(this.#assets, program), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(join(this.directory, `${program}.log`), { flags: 'a' });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    return child;
  }

  async #answers(): Promise<void> {
    const until = performance.now() + START_MS;
    for (;;) {
      const fault = await this.#fault();
      if (fault === undefined) return;
      if (performance.now() > until || this.#api?.exitCode !== null) {
        throw new Error(`kube-apiserver does not answer: ${fault}; ${await this.#lastLines()}`);
      }
      await sleep(200);
    }
  }

  async #fault(): Promise<string | undefined> {
    if (!existsSync(join(this.directory, 'certs', 'apiserver.crt'))) return 'it has no certificate yet';
    try {
      const client = await this.client();
      await client.json({ path: '/apis/discovery.k8s.io/v1/endpointslices' });
      await client.json({ path: '/api/v1/namespaces/default' });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  async #lastLines(): Promise<string> {
    const text = await readFile(join(this.directory, 'kube-apiserver.log'), 'utf8').catch(() => '');
    return text.split('\n').slice(-6).join('\n');
  }
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** Free a moment ago: the programs cannot be handed an open socket. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
