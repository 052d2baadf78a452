// Opens the source of the desired state that the settings name.
import { join } from 'node:path';
import type { Logger } from 'pino';
import { connect } from '../kubernetes/connect.js';
import { DirectorySource } from '../source/directory.js';
import { ClusterSource } from './cluster/cluster-source.js';
import { KeptSource } from './kept-source.js';
import type { MeasuredSource } from './measured-source.js';
import { KUBERNETES_SOURCE, type Settings } from './settings.js';
import { SNAPSHOT_NAME, SnapshotFile } from './snapshot-file.js';

/** `version`: of the agent. Rejects with ConnectionError when nobody says how the API server is reached. */
export async function openSource(settings: Settings, log: Logger, version: string): Promise<MeasuredSource> {
  if (settings.source !== KUBERNETES_SOURCE) return new DirectorySource({ directory: settings.source });
  const { node, stateDir } = settings;
  const source = new ClusterSource({ connection: await connect(settings.kubeconfig), node, log });
  const file = new SnapshotFile({
    path: join(stateDir, SNAPSHOT_NAME),
    owner: { version, node, where: source.where },
    onTrouble: ({ message: reason }) => log.warn({ reason }, 'the desired state could not be kept; the next one is'),
  });
  const onKept = (time: string) => log.warn({ time }, 'nobody answers; what was known then is in force');
  return new KeptSource({ source, file, onKept });
}
