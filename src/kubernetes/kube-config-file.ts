// A kubeconfig: certificates, tokens, exec plugins and proxies, as the Kubernetes client for JavaScript reads them.
import type { RequestOptions } from 'node:http';
import type { RequestOptions as HttpsRequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import { type Connection, ConnectionError } from './connection.js';

/** Throws ConnectionError when the file cannot be used. */
export class KubeConfigFile implements Connection {
  readonly server: URL;
  readonly namespace: string | undefined;
  readonly #path: string;
  #config: KubeConfig;

  constructor(path: string) {
    this.#path = path;
    this.#config = load(path);
    this.server = new URL(this.#config.getCurrentCluster()?.server ?? '');
    this.namespace = this.#config.getContextObject(this.#config.getCurrentContext())?.namespace;
  }

  async authorize(): Promise<RequestOptions> {
    const options: HttpsRequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    return options as RequestOptions;
  }

  /** The library keeps what it has read, so a new one is made. What cannot be read now stays as it was. */
  renew(): void {
    try {
      this.#config = load(this.#path);
    } catch {
      // The next answer of the server says what is wrong.
    }
  }
}

function load(path: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromFile(path);
  } catch (cause) {
    throw new ConnectionError(`cannot read the kubeconfig ${path}: ${(cause as Error).message}; nothing was asked`, {
      cause,
    });
  }
  const server = config.getCurrentCluster()?.server;
  if (server !== undefined && URL.canParse(server)) return config;
  const context = config.getCurrentContext();
  throw new ConnectionError(
    `kubeconfig ${path}: its current context '${context}' leads to no server; nothing was asked`,
  );
}
