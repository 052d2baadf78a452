// What Prometheus reads: kube-proxy's names where dashboards expect them, and our own beside them.
import { Counter, collectDefaultMetrics, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import type { Attachment } from '../api/protocol.js';
import type { DropTotal, MapFill } from '../datapath/datapath.js';
import { FAMILIES, type Family } from '../model/address.js';
import type { ChangeBatch } from './changes.js';

/** What is read when somebody asks. */
export interface MetricSources {
  readonly version: string;
  drops(): Iterable<DropTotal>;
  mapFill(): Iterable<MapFill>;
  attachments(): readonly Attachment[];
  endpoints(): number;
  services(): number;
  problems(): number;
  pending(): ChangeBatch;
}

/** A reconcile that put everything in force. */
export interface FinishedSync {
  readonly batch: ChangeBatch;
  /** It took so long. */
  readonly seconds: number;
  /** Milliseconds of the epoch. */
  readonly now: number;
  readonly families: readonly Family[];
  readonly noLocalEndpoints: readonly NoLocalEndpoints[];
}

/** Service ports that have endpoints, all of them elsewhere, though the policy is Local. */
export interface NoLocalEndpoints {
  readonly family: Family;
  readonly policy: 'internal' | 'external';
  readonly count: number;
}

const IP_FAMILY: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: MetricSources;
  readonly #programming = this.#histogram(
    'kubeproxy_network_programming_duration_seconds',
    'From the change of a pod or Service, as its EndpointSlice tells it, to its being in force here',
    programmingBuckets(),
  );
  readonly #sync = this.#histogram(
    'kubeproxy_sync_proxy_rules_duration_seconds',
    'One reconcile, from the desired state to the maps',
    Array.from({ length: 15 }, (_, power) => 0.001 * 2 ** power),
  );
  readonly #synced = this.#gauge(
    'kubeproxy_sync_proxy_rules_last_timestamp_seconds',
    'When everything was in force last',
    ['ip_family'],
  );
  readonly #queued = this.#gauge(
    'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds',
    'When the desired state changed last',
    ['ip_family'],
  );
  readonly #noLocal = this.#gauge(
    'kubeproxy_sync_proxy_rules_no_local_endpoints_total',
    'Service ports with a Local traffic policy and endpoints on other nodes only',
    ['ip_family', 'traffic_policy'],
  );
  readonly #slices = this.#counter(
    'kubeproxy_sync_proxy_rules_endpoint_changes_total',
    'EndpointSlices that changed',
    [],
  );
  readonly #services = this.#counter('kubeproxy_sync_proxy_rules_service_changes_total', 'Services that changed', []);
  readonly #healthz = this.#counter('kubeproxy_proxy_healthz_total', 'Answers of /healthz', ['code']);
  readonly #livez = this.#counter('kubeproxy_proxy_livez_total', 'Answers of /livez', ['code']);
  readonly #failed = this.#counter('isthmus_reconcile_errors_total', 'Reconciles that did not succeed', []);

  constructor(sources: MetricSources) {
    this.#sources = sources;
    collectDefaultMetrics({ register: this.#registry });
    this.#addPending();
    this.#addOwn();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** One of somebody else's. */
  add(metric: Metric): void {
    this.#registry.registerMetric(metric);
  }

  /** The text of `/metrics`. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  countHealth(path: 'healthz' | 'livez', status: number): void {
    (path === 'healthz' ? this.#healthz : this.#livez).inc({ code: String(status) });
  }

  /** `now`: milliseconds of the epoch. */
  queue({ services, slices }: ChangeBatch, now: number): void {
    this.#services.inc(services);
    this.#slices.inc(slices);
    for (const family of FAMILIES) this.#queued.set({ ip_family: IP_FAMILY[family] }, now / 1000);
  }

  finish({ batch, seconds, now, families, noLocalEndpoints }: FinishedSync): void {
    for (const family of families) {
      const labels = { ip_family: IP_FAMILY[family] };
      this.#sync.observe(labels, seconds);
      this.#synced.set(labels, now / 1000);
    }
    // Clocks of two machines may differ.
    for (const { family, time } of batch.triggers)
      this.#programming.observe({ ip_family: IP_FAMILY[family] }, Math.max(0, now - time) / 1000);
    for (const { family, policy, count } of noLocalEndpoints)
      this.#noLocal.set({ ip_family: IP_FAMILY[family], traffic_policy: policy }, count);
  }

  fail(): void {
    this.#failed.inc();
  }

  #addPending(): void {
    const help = 'that are not in force yet';
    this.#read(
      'kubeproxy_sync_proxy_rules_endpoint_changes_pending',
      `Changed EndpointSlices ${help}`,
      ({ pending }) => {
        return pending().slices;
      },
    );
    this.#read('kubeproxy_sync_proxy_rules_service_changes_pending', `Changed Services ${help}`, ({ pending }) => {
      return pending().services;
    });
  }

  #addOwn(): void {
    this.#gauge('isthmus_build_info', 'Always 1', ['version']).set({ version: this.#sources.version }, 1);
    this.#read('isthmus_endpoints', 'Pods of this node', ({ endpoints }) => endpoints());
    this.#read('isthmus_services', 'Services in force', ({ services }) => services());
    this.#read('isthmus_problems', 'Objects and settings that are not in force as they should be', (sources) => {
      return sources.problems();
    });
    this.#addDrops();
    this.#addMaps();
    this.#addAttachments();
  }

  /** One that reads for others comes before them: they are collected in this order. */
  #addDrops(): void {
    const labelNames = ['reason', 'direction'];
    const { drops } = this.#sources;
    this.#counter('isthmus_drop_total', 'Dropped packets; as `isthmus drop list`', labelNames, (packets) => {
      bytes.reset();
      for (const { reason, direction, packets: count, bytes: size } of drops()) {
        packets.inc({ reason, direction }, count);
        bytes.inc({ reason, direction }, size);
      }
    });
    const bytes = this.#counter('isthmus_drop_bytes_total', 'Bytes of dropped packets', labelNames);
  }

  #addMaps(): void {
    const { mapFill } = this.#sources;
    this.#gauge('isthmus_bpf_map_entries', 'Entries of a map', ['map'], (entries) => {
      for (const { map, entries: count, maxEntries } of mapFill()) {
        entries.set({ map }, count);
        most.set({ map }, maxEntries);
        ratio.set({ map }, count / maxEntries);
      }
    });
    const most = this.#gauge('isthmus_bpf_map_max_entries', 'Room of a map', ['map']);
    const ratio = this.#gauge('isthmus_bpf_map_pressure_ratio', 'How full a map is, 0 to 1', ['map']);
  }

  #addAttachments(): void {
    const { attachments } = this.#sources;
    this.#gauge('isthmus_programs_attached', 'Places that a program is attached to', ['program', 'kind'], (gauge) => {
      for (const { program, kind } of attachments()) gauge.inc({ program, kind });
    });
  }

  /** Read when somebody asks. */
  #read(name: string, help: string, value: (sources: MetricSources) => number): void {
    const sources = this.#sources;
    this.#gauge(name, help, [], (gauge) => gauge.set(value(sources)));
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, buckets, labelNames: ['ip_family'], registers: [this.#registry] });
  }

  /** `collect` sets all anew. */
  #gauge(name: string, help: string, labelNames: string[], collect?: (gauge: Gauge) => void): Gauge {
    return new Gauge({ name, help, labelNames, registers: [this.#registry], ...collected(collect) });
  }

  #counter(name: string, help: string, labelNames: string[], collect?: (counter: Counter) => void): Counter {
    return new Counter({ name, help, labelNames, registers: [this.#registry], ...collected(collect) });
  }
}

function collected<T extends { reset(): void }>(collect: ((metric: T) => void) | undefined) {
  if (collect === undefined) return {};
  return {
    collect(this: T): void {
      this.reset();
      collect(this);
    },
  };
}

/** Seconds; kube-proxy's. */
function programmingBuckets(): number[] {
  const linear = (start: number, step: number, count: number) =>
    Array.from({ length: count }, (_, i) => start + i * step);
  return [...linear(0.25, 0.25, 2), ...linear(1, 1, 59), ...linear(60, 5, 12), ...linear(120, 30, 7)];
}
