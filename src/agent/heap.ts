// How much memory the engine may use for objects that live for a moment.
import { setFlagsFromString } from 'node:v8';

/** Megabytes. By default it grows to ten times of this while the cluster is read, and never shrinks again. */
const YOUNG_OBJECTS = 4;

/** To be called before anything large is read. */
export function limitHeap(): void {
  setFlagsFromString(`--max-semi-space-size=${YOUNG_OBJECTS}`);
  setFlagsFromString('--semi-space-growth-factor=1');
}
