// Traffic for as long as something else happens, and what became of it.

import type { ProbeReport } from '../../src/lab/probe.js';
import type { Kubectl } from './kubectl.js';
import { captureOn } from './machine.js';
import type { ClusterNode } from './plan.js';
import { Requests, Sender } from './traffic.js';

/** A pod that sends until it is told to stop. */
export interface Stream {
  readonly name: string;
  readonly node: ClusterNode;
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
}

export interface Outcome {
  readonly sent: number;
  readonly lost: number;
  readonly asked: number;
  readonly failures: readonly string[];
}

/** Longer than anything that happens meanwhile. */
const SECONDS = 600;

export class Background {
  readonly #streams: readonly Stream[];
  readonly #senders: readonly Sender[];
  readonly #requests: readonly Requests[];

  private constructor(streams: readonly Stream[], senders: readonly Sender[], requests: readonly Requests[]) {
    this.#streams = streams;
    this.#senders = senders;
    this.#requests = requests;
  }

  /** Resolves when all streams run; `questions` are asked again and again, each on a connection of its own. */
  static async start(
    kubectl: Kubectl,
    streams: readonly Stream[],
    questions: readonly (() => Promise<ProbeReport>)[],
  ): Promise<Background> {
    const senders = await Promise.all(
      streams.map(({ name, node, protocol, address, port }) => {
        const how = protocol === 'udp' ? ['stream', '--rate', '100'] : ['hold', '--rate', '20'];
        const argv = [protocol, address, String(port), ...how, '--seconds', String(SECONDS)];
        return Sender.start(kubectl, name, { node: node.name, argv });
      }),
    );
    return new Background(
      streams,
      senders,
      questions.map((ask) => new Requests(ask)),
    );
  }

  async stop(): Promise<Outcome> {
    const requests = await Promise.all(this.#requests.map((one) => one.stop()));
    const nodes = new Set(this.#streams.map(({ node }) => node));
    await Promise.all([...nodes].map(endStreams));
    const reports = await Promise.all(this.#senders.map((sender) => sender.report(30)));
    await Promise.all(this.#senders.map((sender) => sender.remove()));
    const total = (pick: (report: ProbeReport) => number): number =>
      reports.reduce((sum, report) => sum + pick(report), 0);
    const broken = reports.flatMap(({ ok, errors = 0, error }, index) =>
      ok && errors === 0 ? [] : [`stream ${this.#streams[index]?.name}: ${error ?? `${errors} errors`}`],
    );
    return {
      sent: total(({ sent = 0 }) => sent),
      lost: total(({ sent = 0, received = 0 }) => sent - received),
      asked: requests.reduce((sum, { count }) => sum + count, 0),
      failures: [...requests.flatMap(({ failures }) => failures), ...broken],
    };
  }
}

/** They report when they are told to end. */
async function endStreams(node: ClusterNode): Promise<void> {
  const script = 'for pid in $(pgrep --full "^/isthmus-probe (tcp|udp) .* --seconds $0"); do kill -TERM "$pid"; done';
  await captureOn(node, ['bash', '-c', script, String(SECONDS)]);
}
