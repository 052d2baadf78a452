// What the node tells the outside about its services: health for load balancers, metrics for Prometheus.
import type { RequestListener, ServerResponse } from 'node:http';
import type { Metric } from 'prom-client';
import type { Desired } from '../datapath/compile.js';
import { selectNodePortAddresses } from '../datapath/frontends.js';
import { type CompiledServices, listCompiled } from '../datapath/services.js';
import type { Unit } from '../datapath/unit.js';
import { FAMILIES, type Family } from '../model/address.js';
import { isExternallyAccessible } from '../model/service.js';
import type { Snapshot } from '../model/snapshot.js';
import { Changes } from './changes.js';
import { answerHealthCheck, type HealthCheck, listHealthChecks } from './health-checks.js';
import { HttpListeners, type Listener, type ListenFailure } from './http-listeners.js';
import { type MetricSources, Metrics, type NoLocalEndpoints } from './metrics.js';
import { type HealthAnswer, ProxyHealth } from './proxy-health.js';
import type { Settings } from './settings.js';

export interface ReportingOptions {
  readonly settings: Settings;
  /** Of others, to be read with our own. */
  readonly metrics?: readonly Metric[];
  readonly sources: Omit<MetricSources, 'pending' | 'services'>;
  /** Milliseconds of the epoch. */
  readonly clock: () => number;
}

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';
/** What kube-proxy would say `nftables` or alike. */
const PROXY_MODE = 'isthmus';
/** How many new connections this node should get beside others: one share for each backend. */
const WEIGHT_HEADER = 'X-Load-Balancing-Endpoint-Weight';

export class Reporting {
  readonly #options: ReportingOptions;
  readonly #changes: Changes;
  readonly #health: ProxyHealth;
  readonly #metrics: Metrics;
  readonly #listeners = new HttpListeners();
  #services: CompiledServices | undefined;
  #begun = 0;

  constructor(options: ReportingOptions) {
    const { settings, sources, clock, metrics = [] } = options;
    this.#options = options;
    this.#changes = new Changes(clock);
    this.#health = new ProxyHealth({ changes: this.#changes, clock, timeout: settings.healthTimeoutSeconds * 1000 });
    this.#metrics = new Metrics({
      ...sources,
      services: () => this.#services?.groups.size ?? 0,
      pending: () => this.#changes.pending,
    });
    for (const metric of metrics) this.#metrics.add(metric);
  }

  /** Health and metrics; those of Services come when they are in force. */
  async open(): Promise<void> {
    await this.#listeners.apply(this.#fixed());
  }

  /** Listens for what is in force now, and for nothing else. Returns what could not be had. */
  async listen(desired: Desired): Promise<readonly ListenFailure[]> {
    await this.#listeners.apply([...this.#fixed(), ...this.#healthChecks(desired)]);
    return this.#listeners.failures;
  }

  close(): Promise<void> {
    return this.#listeners.close();
  }

  /** The source delivered something new. A node that is not known yet is as it was. */
  queue(snapshot: Snapshot): void {
    const { settings, clock } = this.#options;
    this.#metrics.queue(this.#changes.queue(snapshot), clock());
    const node = snapshot.nodes.get(settings.node);
    if (node !== undefined) this.#health.eligible = node.leaving !== true;
  }

  /** A reconcile begins. */
  begin(): void {
    this.#changes.begin();
    this.#begun = performance.now();
  }

  /** It has put everything in force. */
  finish({ services, snapshot }: Desired): void {
    const { clock } = this.#options;
    this.#services = services;
    this.#health.update();
    this.#metrics.finish({
      batch: this.#changes.finish(),
      seconds: (performance.now() - this.#begun) / 1000,
      now: clock(),
      families: FAMILIES.filter((family) => snapshot.network?.families[family] !== undefined),
      noLocalEndpoints: countNoLocalEndpoints(services),
    });
  }

  /** It has not. */
  fail(): void {
    this.#metrics.fail();
  }

  #fixed(): Listener[] {
    const { healthzBindAddress, metricsBindAddress } = this.#options.settings;
    return [
      ...(healthzBindAddress ? [{ object: 'healthz', ...healthzBindAddress, answer: this.#answerHealth }] : []),
      ...(metricsBindAddress ? [{ object: 'metrics', ...metricsBindAddress, answer: this.#answerMetrics }] : []),
    ];
  }

  #healthChecks({ services, snapshot: { network, nodes } }: Desired): Listener[] {
    const { node: nodeName } = this.#options.settings;
    const node = nodes.get(nodeName);
    const everywhere = network?.nodePortAddresses === undefined || node === undefined;
    const hosts = everywhere ? [''] : selectNodePortAddresses(network, node);
    return listHealthChecks(services, nodeName).flatMap((check) => {
      const object = `health check of Service ${check.namespace}/${check.name}`;
      const answer = this.#answerCheck(check);
      return hosts.map((host) => ({ object, host, port: check.port, answer }));
    });
  }

  readonly #answerHealth: RequestListener = ({ url = '' }, response) => {
    const path = pathOf(url);
    if (path === '/readyz') return sendHealth(response, this.#health.readyz);
    if (path !== '/healthz' && path !== '/livez') return sendMissing(response);
    const answer = path === '/healthz' ? this.#health.healthz : this.#health.livez;
    this.#metrics.countHealth(path === '/healthz' ? 'healthz' : 'livez', answer.status);
    sendHealth(response, answer);
  };

  readonly #answerMetrics: RequestListener = ({ url = '' }, response) => {
    const path = pathOf(url);
    if (path === '/proxyMode') send(response, { status: 200, type: TEXT_TYPE, body: PROXY_MODE });
    else if (path === '/metrics') void this.#sendMetrics(response);
    else sendMissing(response);
  };

  async #sendMetrics(response: ServerResponse): Promise<void> {
    try {
      send(response, { status: 200, type: this.#metrics.contentType, body: await this.#metrics.text() });
    } catch (error) {
      send(response, { status: 500, type: TEXT_TYPE, body: `cannot read the metrics: ${(error as Error).message}\n` });
    }
  }

  /** Of any path. */
  #answerCheck(check: HealthCheck): RequestListener {
    return (_request, response) => {
      response.setHeader(WEIGHT_HEADER, check.localEndpoints);
      sendHealth(response, answerHealthCheck(check, this.#health.healthy));
    };
  }
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'X-Content-Type-Options': 'nosniff',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}

function sendHealth(response: ServerResponse, { status, body }: HealthAnswer): void {
  send(response, { status, type: JSON_TYPE, body });
}

function sendMissing(response: ServerResponse): void {
  send(response, { status: 404, type: TEXT_TYPE, body: '404 page not found\n' });
}

const POLICIES = [
  ['internal', ({ service }: Unit) => service.internalTrafficPolicy],
  [
    'external',
    ({ service, port }: Unit) => (isExternallyAccessible(service, port) ? service.externalTrafficPolicy : 'Cluster'),
  ],
] as const;

/** Of every family and policy, also where there is none. */
function countNoLocalEndpoints(services: CompiledServices): NoLocalEndpoints[] {
  const counts = new Map<string, number>();
  for (const { unit } of listCompiled(services)) {
    if (!unit.selection.anywhere || unit.selection.local.length > 0) continue;
    for (const [policy, policyOf] of POLICIES) {
      const name = `${unit.family} ${policy}`;
      if (policyOf(unit) === 'Local') counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return FAMILIES.flatMap((family: Family) =>
    POLICIES.map(([policy]) => ({ family, policy, count: counts.get(`${family} ${policy}`) ?? 0 })),
  );
}
