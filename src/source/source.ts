// Where the desired state comes from: a directory of manifests or the Kubernetes API.
import type { Snapshot } from '../model/snapshot.js';

/**
 * Delivers the whole desired state, checked (model/check.ts), whenever it changes. A snapshot is never partial:
 * nothing is delivered before everything was read once.
 */
export interface Source {
  /** What it is, and where, as status output names it. */
  readonly kind: 'directory' | 'kubernetes';
  readonly where: string;
  /**
   * Resolves after the first snapshot was delivered, which may be never. Rejects with SourceError when nothing can be
   * read, and waiting would not help.
   */
  start(onSnapshot: (snapshot: Snapshot) => void): Promise<void>;
  /** Nothing is delivered afterwards. */
  close(): Promise<void>;
}

/** The source itself cannot be read, so that nothing is known about any object. */
export class SourceError extends Error {
  readonly code = 'ERR_SOURCE';
}
