// The service account of the pod that this runs in.
import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:http';
import { Agent } from 'node:https';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { type Connection, ConnectionError } from './connection.js';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** Milliseconds. The kubelet replaces the file long before the token expires. */
const TOKEN_AGE_MAX = 60_000;
/** Milliseconds before the first probe of a silent connection. */
const KEEP_ALIVE = 30_000;
const ADVICE = 'nothing was asked; run in a pod with a service account, or name a kubeconfig';

/** What the kubelet gives to a pod. The environment may name another address of the API server than its Service's. */
export class ServiceAccount implements Connection {
  readonly server: URL;
  readonly namespace: string | undefined;
  readonly #directory: string;
  #token = '';
  #tokenRead = Number.NEGATIVE_INFINITY;
  #ca = '';
  #agent: Agent | undefined;

  constructor(environment: Readonly<Record<string, string | undefined>>, directory: string = SERVICE_ACCOUNT) {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
    this.#directory = directory;
    if (!host) throw new ConnectionError(`not in a pod: KUBERNETES_SERVICE_HOST is not set; ${ADVICE}`);
    this.server = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
    this.namespace = this.#read('namespace').trim();
  }

  async authorize(): Promise<RequestOptions> {
    if (performance.now() - this.#tokenRead > TOKEN_AGE_MAX) {
      this.#token = this.#read('token').trim();
      this.#tokenRead = performance.now();
    }
    return { headers: { authorization: `Bearer ${this.#token}` }, agent: this.#trusting(this.#read('ca.crt')) };
  }

  renew(): void {
    this.#tokenRead = Number.NEGATIVE_INFINITY;
  }

  #trusting(ca: string): Agent {
    if (this.#agent === undefined || ca !== this.#ca) {
      this.#agent = new Agent({ ca, keepAlive: true, keepAliveMsecs: KEEP_ALIVE });
      this.#ca = ca;
    }
    return this.#agent;
  }

  #read(name: string): string {
    const path = join(this.#directory, name);
    try {
      return readFileSync(path, 'utf8');
    } catch (cause) {
      const { message } = cause as Error;
      throw new ConnectionError(`cannot read the service account: ${message}; ${ADVICE}`, { cause });
    }
  }
}
