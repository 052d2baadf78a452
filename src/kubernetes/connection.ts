// How the API server is reached and who asks.
import type { RequestOptions } from 'node:http';

export interface Connection {
  readonly server: URL;
  /** Of the service account or the kubeconfig's context; undefined when it names none. */
  readonly namespace: string | undefined;
  /** Headers, agent and certificates of one request. Rejects when they cannot be read. */
  authorize(): Promise<RequestOptions>;
  /** Reads everything anew for the next request: the server knows us no longer, or we do not know it. */
  renew(): void;
}

/** Neither a kubeconfig that can be read nor a pod's service account. */
export class ConnectionError extends Error {
  readonly code = 'ERR_KUBERNETES_CONNECTION';
}
