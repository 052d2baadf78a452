// Replays the lines of a journal of block grants: who owns what now, what was given back, and who owned what when.
import {
  type BlockEvent,
  type BlockGrant,
  type BlockRelease,
  type BlockSnapshot,
  grantText,
  type JournalLine,
  outsideOf,
  releaseText,
} from './block-grant.js';

/** A grant from its begin to its end, milliseconds of the epoch. */
export interface Tenure {
  readonly grant: BlockGrant;
  readonly from: number;
  /** undefined: it lasts. */
  readonly to?: number;
}

/**
 * Lines count in their order, not by their times: a clock that is set back does not reorder what happened. A tenure
 * whose clock was set back meanwhile spans both readings.
 */
export class BlockReplay {
  /** By grantText. */
  readonly live = new Map<string, Tenure>();
  /** The last release of each range of ports of the same addresses, by releaseText. */
  readonly releases = new Map<string, BlockRelease>();
  /** Time of the first line; undefined before it. */
  begins: number | undefined;
  readonly #onEnd: (tenure: Required<Tenure>) => void;
  /** Since when the replay knows everything. */
  #complete = 0;

  constructor(onEnd: (tenure: Required<Tenure>) => void = () => undefined) {
    this.#onEnd = onEnd;
  }

  apply(line: JournalLine): void {
    const time = Date.parse(line.time);
    if (this.begins === undefined) this.#complete = time;
    this.begins ??= time;
    if (line.event === 'snapshot') this.#snapshot(line, time);
    else if (line.event === 'granted') this.#granted(line, time);
    else this.#released(line, time);
  }

  #granted(event: BlockEvent, from: number): void {
    const text = grantText(event);
    // Repeated when it is not known whether the first attempt reached the disk.
    if (!this.live.has(text)) this.live.set(text, { grant: grantOf(event), from });
  }

  /** A release whose grant was lost with damaged lines began no earlier than the last snapshot, which lacks it. */
  #released(event: BlockEvent, to: number): void {
    const { time, ports } = event;
    this.#end(this.live.get(grantText(event)) ?? { grant: grantOf(event), from: this.#complete }, to);
    this.#release({ ports, outside: outsideOf(event), time });
  }

  /** What the snapshot does not have ended in lines that were lost, at its time at the latest. */
  #snapshot({ grants, releases }: BlockSnapshot, time: number): void {
    const present = new Set(grants.map(grantText));
    for (const [text, tenure] of this.live) if (!present.has(text)) this.#end(tenure, time);
    for (const grant of grants) {
      const text = grantText(grant);
      if (!this.live.has(text)) this.live.set(text, { grant: grantOf(grant), from: Date.parse(grant.since) });
    }
    for (const release of releases) this.#release(release);
    this.#complete = time;
  }

  #release(release: BlockRelease): void {
    this.releases.set(releaseText(release), release);
  }

  #end({ grant, from }: Tenure, to: number): void {
    this.live.delete(grantText(grant));
    this.#onEnd({ grant, from: Math.min(from, to), to: Math.max(from, to) });
  }
}

function grantOf({ ports, addresses, owner, node, clusterID }: BlockGrant): BlockGrant {
  return { ports, addresses, owner, node, clusterID };
}
