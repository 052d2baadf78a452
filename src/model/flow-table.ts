// How full a node's flow table is, and whose flows fill it.
import type { Endpoint } from './endpoint.js';

/** Above this part of the table the kernel no longer admits everybody (enum admission_limits). */
export const PRESSURE_PERCENT = 90;

/** The flows of one device, as the kernel counts them. */
export interface FlowCount {
  readonly open: number;
  /** Of the open ones. */
  readonly unanswered: number;
  /** Remembered until their timeout, or until their port is used again. */
  readonly closed: number;
  /** First packets that were dropped because of these flows. */
  readonly refused: bigint;
}

export interface FlowTable {
  /** Two a flow. */
  readonly entries: number;
  readonly maxEntries: number;
  /** By ifindex of the device where the first packets came in. */
  readonly counts: ReadonlyMap<number, FlowCount>;
}

/** Who began flows: a pod, or by the uplink's name all that is outside of the node. */
export interface Talker extends FlowCount {
  readonly pod?: { readonly namespace: string; readonly name: string };
  /** When it is no pod. */
  readonly device?: string;
  /** Open and closed ones. */
  readonly flows: number;
  /** Of the whole table. */
  readonly sharePercent: number;
}

export interface TalkerNames {
  readonly endpoints: readonly Pick<Endpoint, 'ifindex' | 'namespace' | 'pod'>[];
  readonly uplink: { readonly name: string; readonly ifindex: number };
}

export function usedPercent({ entries, maxEntries }: Pick<FlowTable, 'entries' | 'maxEntries'>): number {
  return percent(entries, maxEntries);
}

export function isUnderPressure({ entries, maxEntries }: Pick<FlowTable, 'entries' | 'maxEntries'>): boolean {
  return entries * 100 > maxEntries * PRESSURE_PERCENT;
}

/** Who has the most flows first. */
export function rankTalkers(table: FlowTable, { endpoints, uplink }: TalkerNames): Talker[] {
  const pods = new Map(endpoints.map((endpoint) => [endpoint.ifindex, endpoint]));
  const nameOf = (ifindex: number): Pick<Talker, 'pod' | 'device'> => {
    const pod = pods.get(ifindex);
    if (pod !== undefined) return { pod: { namespace: pod.namespace, name: pod.pod } };
    return { device: ifindex === uplink.ifindex ? uplink.name : `${ifindex}` };
  };
  return [...table.counts]
    .map(([ifindex, count]) => {
      const flows = count.open + count.closed;
      return { ...nameOf(ifindex), ...count, flows, sharePercent: percent(2 * flows, table.maxEntries) };
    })
    .sort((a, b) => b.flows - a.flows);
}

/** One sentence for who has to do something about it. */
export function describePressure(table: FlowTable, talkers: readonly Talker[]): string {
  const names = talkers.slice(0, 3).map(describeTalker).join(', ');
  return (
    `the flow table is ${usedPercent(table)} % full (${table.entries} of ${table.maxEntries} entries): established ` +
    `flows go on, who has much of it begins no more; most flows: ${names === '' ? 'nobody counted' : names}`
  );
}

function describeTalker({ pod, device, flows, unanswered }: Talker): string {
  const name = pod === undefined ? `device ${device}` : `${pod.namespace}/${pod.name}`;
  return `${name} ${flows}${unanswered === 0 ? '' : ` (${unanswered} unanswered)`}`;
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10;
}
