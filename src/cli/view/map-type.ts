// Names of BPF map types, and what a count of entries means for each.

/** enum bpf_map_type of the kernel, by number. */
const TYPES: readonly string[] = [
  'unspec',
  'hash',
  'array',
  'prog_array',
  'perf_event_array',
  'percpu_hash',
  'percpu_array',
  'stack_trace',
  'cgroup_array',
  'lru_hash',
  'lru_percpu_hash',
  'lpm_trie',
  'array_of_maps',
  'hash_of_maps',
  'devmap',
  'sockmap',
  'cpumap',
  'xskmap',
  'sockhash',
  'cgroup_storage',
  'reuseport_sockarray',
  'percpu_cgroup_storage',
  'queue',
  'stack',
  'sk_storage',
  'devmap_hash',
  'struct_ops',
  'ringbuf',
  'inode_storage',
  'task_storage',
  'bloom_filter',
  'user_ringbuf',
  'cgrp_storage',
  'arena',
];

/** As bpftool names it; the number for a type that came later. */
export function mapTypeName(type: number): string {
  return TYPES[type] ?? String(type);
}

const PER_CPU: ReadonlySet<string> = new Set(['percpu_hash', 'percpu_array', 'lru_percpu_hash']);
const WALKABLE: ReadonlySet<string> = new Set([
  ...PER_CPU,
  ...['hash', 'array', 'lru_hash', 'lpm_trie', 'hash_of_maps', 'array_of_maps'],
]);

/** Whether a value is one for each CPU. */
export function isPerCpu(type: number): boolean {
  return PER_CPU.has(mapTypeName(type));
}

/** Whether the map has keys that can be walked: ring buffers and the like have none. */
export function isWalkable(type: number): boolean {
  return WALKABLE.has(mapTypeName(type));
}

/** Whether every entry exists from the beginning. */
export function isArray(type: number): boolean {
  return mapTypeName(type) === 'array' || mapTypeName(type) === 'percpu_array';
}
