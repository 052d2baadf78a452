// The kernel's maps that the agent writes.
import type { BpfObject } from '../bpf/object.js';
import type { DatapathMaps } from './reconcile.js';
import type { Config, Maps } from './types.gen.js';

/** Handles that whoever opened them closes. */
export type OpenMaps = { readonly [Name in keyof DatapathMaps]: DatapathMaps[Name] & { close(): void } };

/** Of an object that is loaded. Throws BpfError. */
export function openMaps(object: BpfObject<Maps, Config>): OpenMaps {
  return {
    endpoints: object.map('endpoints'),
    routes: object.map('routes'),
    services: object.map('services'),
    backends: object.map('backends'),
    maglev: object.map('maglev'),
    source_ranges: object.map('source_ranges'),
    serving: object.map('serving'),
    direct_backends: object.map('direct_backends'),
  };
}
