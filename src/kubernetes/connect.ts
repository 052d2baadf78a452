// Who says how the API server is reached: the pod's service account, or a kubeconfig.
import type { Connection } from './connection.js';
import { ServiceAccount } from './service-account.js';

/** `kubeconfig` '': the service account of the pod that this runs in. Rejects with ConnectionError. */
export async function connect(kubeconfig: string): Promise<Connection> {
  if (kubeconfig === '') return new ServiceAccount(process.env);
  // Its generated classes take seconds and 90 MB: only who has a kubeconfig pays for them.
  const { KubeConfigFile } = await import('./kube-config-file.js');
  return new KubeConfigFile(kubeconfig);
}
