// Which port a new flow may leave from. The datapath chooses; the model says whether it was allowed to.
import { portsOf } from '../port-blocks.js';
import { type Flow, type FlowTable, isOver, type MappingTable, mayBeOver, type Socket } from './flow-table.js';
import type { ModelEndpoint } from './node.js';
import { isNewer, type Numbers } from './timestamp.js';
import { reverse, type Tuple, tupleText } from './tuple.js';

/** What the datapath's table says that it chose. */
export interface Choice {
  readonly translated: Tuple;
  readonly shift: number;
}

export interface Wish {
  readonly flows: FlowTable;
  readonly mappings: MappingTable;
  readonly owner: ModelEndpoint;
  /** The first packet's sender. */
  readonly inside: Socket;
  /** As the flow leaves, but for the port that is to be chosen. */
  readonly translated: Tuple;
  readonly independent: boolean;
  readonly numbers: Numbers | undefined;
}

/** A port that the rules do not allow, or a refusal without need. */
export class WrongChoice extends Error {}

/** Checks the choice; returns the flow whose port is taken over, when it is one that is over. */
export function judgeChoice(wish: Wish, { translated, shift }: Choice): Flow | undefined {
  const port = translated.sourcePort;
  const say = (why: string): never => {
    throw new WrongChoice(`port ${port} for ${tupleText(wish.translated)}: ${why}`);
  };
  if (!candidatesOf(wish).includes(port)) say('not one of the owner, or of the mapping');
  if (isMappedToAnother(wish, port)) say("another socket's mapping has it");
  const taken = holderOf(wish, port);
  if (taken !== undefined && !mayBeOver(taken)) say(`a living flow has it: ${tupleText(taken.original)}`);
  if (shift !== 0 && taken === undefined) say('timestamps are moved without a reason');
  if (taken !== undefined && isOver(taken)) judgeReuse(wish, taken, { shift, say });
  return taken;
}

interface Reuse {
  readonly shift: number;
  readonly say: (why: string) => never;
}

/** The server may still remember the last connection: see docs/port-reuse.md. */
function judgeReuse(wish: Wish, taken: Flow, { shift, say }: Reuse): void {
  const fits = isAccepted(taken, wish.numbers, shift);
  if (!fits) say('the server would take the segment for an old one');
  if (shift === 0) return;
  if (isAccepted(taken, wish.numbers, 0)) say('timestamps are moved without need');
  if (candidatesOf(wish).some((port) => isBetter(wish, port))) say('timestamps are moved though another port will do');
}

function isBetter(wish: Wish, port: number): boolean {
  const taken = holderOf(wish, port);
  return taken === undefined || (isOver(taken) && isAccepted(taken, wish.numbers, 0) && taken.record !== undefined);
}

/** RFC 6191 section 2, as far as timestamps decide: sequence numbers are the last resort, and may lose. */
function isAccepted({ record }: Flow, numbers: Numbers | undefined, shift: number): boolean {
  if (record?.timestamp === undefined || numbers?.timestamp === undefined) return shift === 0;
  return isNewer((numbers.timestamp + shift) >>> 0, record.timestamp);
}

/** Checks that no port was left when a flow was refused. */
export function judgeRefusal(wish: Wish): void {
  const free = candidatesOf(wish).filter((port) => !isHeld(wish, port));
  if (free.length > 0)
    throw new WrongChoice(`refused ${tupleText(wish.translated)} with ports left: ${free.join(' ')}`);
}

function isHeld(wish: Wish, port: number): boolean {
  if (isMappedToAnother(wish, port)) return true;
  const taken = holderOf(wish, port);
  // A mapping's port is not taken from a flow that is over: it stays one socket's.
  return taken !== undefined && (wish.independent || !isOver(taken));
}

function candidatesOf({ owner, mappings, inside, translated, independent }: Wish): number[] {
  const mapping = independent ? mappings.byInside(translated.protocol, inside) : undefined;
  return mapping === undefined ? portsOf(owner.blocks) : [mapping.outside.port];
}

function isMappedToAnother({ independent, mappings, translated, inside }: Wish, port: number): boolean {
  if (!independent) return false;
  const mapping = mappings.byOutside(translated.protocol, { address: translated.source, port });
  return mapping !== undefined && (mapping.inside.address !== inside.address || mapping.inside.port !== inside.port);
}

/** The flow that answers to this port would belong to. */
function holderOf({ flows, translated }: Wish, port: number): Flow | undefined {
  return flows.get(reverse({ ...translated, sourcePort: port }))?.flow;
}
