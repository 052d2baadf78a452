// Opens the source of the desired state that the settings name.
import type { Logger } from 'pino';
import { ApiClient } from '../kubernetes/api-client.js';
import { connect } from '../kubernetes/connect.js';
import { DirectorySource } from '../source/directory.js';
import { KubernetesSource } from '../source/kubernetes/kubernetes.js';
import type { Source } from '../source/source.js';
import { KUBERNETES_SOURCE, type Settings } from './settings.js';

/** Rejects with ConnectionError when nobody says how the API server is reached. */
export async function openSource(settings: Settings, log: Logger): Promise<Source> {
  if (settings.source !== KUBERNETES_SOURCE) return new DirectorySource({ directory: settings.source });
  return new KubernetesSource({
    client: new ApiClient({ connection: await connect(settings.kubeconfig) }),
    onTrouble: ({ path, error }) =>
      log.warn({ path, reason: error.message }, 'the API server cannot be read; what is in force stays; trying again'),
    onAbsent: (kind) => log.warn({ kind }, 'the API server does not know this kind; it is looked for again'),
  });
}
