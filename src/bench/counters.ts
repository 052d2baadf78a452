// What TCP of a network namespace has counted: segments sent again and resets, read through a process that is in it.
import { readFileSync } from 'node:fs';

/** Of one end, in a run: its whole namespace, which nobody else uses meanwhile. */
export interface TcpCounters {
  /** Segments sent again, SYNs among them. */
  readonly retransmits: number;
  readonly synRetransmits: number;
  /** Segments with RST that it sent. */
  readonly resetsSent: number;
  /** Established connections that went away at once, mostly by the other end's RST. */
  readonly connectionsReset: number;
}

const SOURCES = {
  retransmits: 'Tcp.RetransSegs',
  synRetransmits: 'TcpExt.TCPSynRetrans',
  resetsSent: 'Tcp.OutRsts',
  connectionsReset: 'Tcp.EstabResets',
} as const satisfies Record<keyof TcpCounters, string>;

type Figure = keyof TcpCounters;
const FIGURES = Object.keys(SOURCES) as Figure[];

/** Of a process' namespace, since it was created. Throws when the process is gone. */
export function readTcpCounters(pid: number): TcpCounters {
  const text = ['snmp', 'netstat'].map((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8')).join('');
  return parseTcpCounters(text);
}

/** From the text of /proc/net/snmp and /proc/net/netstat, one behind the other. What they do not have is 0. */
export function parseTcpCounters(text: string): TcpCounters {
  const values = parseLines(text);
  return mapFigures((figure) => values.get(SOURCES[figure]) ?? 0);
}

/** What was counted in between. */
export function countedBetween(before: TcpCounters, after: TcpCounters): TcpCounters {
  return mapFigures((figure) => after[figure] - before[figure]);
}

function mapFigures(of: (figure: Figure) => number): TcpCounters {
  return Object.fromEntries(FIGURES.map((figure) => [figure, of(figure)])) as unknown as TcpCounters;
}

/** Pairs of lines of one group: names, then values. */
function parseLines(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '');
  return new Map(
    lines.flatMap((line, index) => {
      const [group, ...names] = line.split(' ');
      const [same, ...values] = lines[index + 1]?.split(' ') ?? [];
      if (index % 2 === 1 || group !== same) return [];
      return names.map((name, column): [string, number] => [
        `${group?.replace(':', '')}.${name}`,
        Number(values[column]),
      ]);
    }),
  );
}
