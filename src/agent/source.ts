// Opens the source of the desired state that the settings name.
import type { Logger } from 'pino';
import type { Metric } from 'prom-client';
import { connect } from '../kubernetes/connect.js';
import { DirectorySource } from '../source/directory.js';
import type { Source } from '../source/source.js';
import { ClusterSource } from './cluster/cluster-source.js';
import { KUBERNETES_SOURCE, type Settings } from './settings.js';

/** A source with metrics of its own. */
export interface MeasuredSource extends Source {
  readonly metrics?: readonly Metric[];
}

/** Rejects with ConnectionError when nobody says how the API server is reached. */
export async function openSource(settings: Settings, log: Logger): Promise<MeasuredSource> {
  if (settings.source !== KUBERNETES_SOURCE) return new DirectorySource({ directory: settings.source });
  return new ClusterSource({ connection: await connect(settings.kubeconfig), node: settings.node, log });
}
