// The datapath as it should be: what each hook makes of a frame, in the order of docs/packet-flow.md.
import type { ANSWER } from '../answers.js';
import type { DropName, Verdict } from '../datapath.js';
import { ETHERTYPE, macBytes, PROTOCOL } from '../packet-layer.js';
import { SCTP } from '../sctp-layer.js';
import { type Device, HOOKS, MAC } from '../world.js';
import { icmpError, macText, reset } from './answers.js';
import {
  type Entry,
  type Flow,
  FlowTable,
  MappingTable,
  mayBeOver,
  observe,
  type Socket,
  type Way,
} from './flow-table.js';
import { advertisement, arpReply } from './neighbour.js';
import {
  type Backend,
  frontendText,
  isIndependent,
  isNatPort,
  isNodePort,
  longestMatch,
  type ModelEndpoint,
  type ModelFrontend,
  type ModelNode,
} from './node.js';
import { type Choice, judgeChoice, judgeRefusal, type Wish, WrongChoice } from './port-choice.js';
import { answerOf, quoteOf, translatedError } from './quote.js';
import { forwarded } from './rewrite.js';
import { moveTimestamps, numbersOf } from './timestamp.js';
import { type Address, addressOf, reverse, type Tuple, tupleText } from './tuple.js';
import { isIcmp, isLater, Refused, TCP, type View, viewOf } from './view.js';

/** What becomes of a frame. */
export interface Ruling {
  readonly verdict: Verdict;
  /** Counted; an answer may be sent all the same. */
  readonly drop?: DropName;
  readonly bytes?: Buffer;
  /** Where a forwarded packet goes. */
  readonly to?: string;
}

/** What the datapath has chosen for a flow, when it has made it. */
export type Chosen = (original: Tuple) => Choice | undefined;

/** The outside name that the datapath has given to a socket, when it has. */
export type Mapped = (protocol: number, inside: Socket) => Socket | undefined;

/** A packet at a hook. */
interface Arrival {
  readonly device: Device;
  readonly frame: Buffer;
  readonly view: View;
}

/** How a flow is to be made. */
interface Request {
  readonly owner: ModelEndpoint | undefined;
  readonly destination: Backend;
  readonly target: ModelEndpoint | undefined;
  readonly independent: boolean;
}

interface Ports {
  readonly view: View;
}

const NEXT: Ruling = { verdict: 'next' };

export class DatapathModel {
  readonly flows = new FlowTable();
  readonly mappings = new MappingTable();
  readonly #fragments = new Map<string, Ports>();
  readonly #node: ModelNode;
  readonly #chosen: Chosen;
  readonly #mapped: Mapped;

  constructor(node: ModelNode, { chosen, mapped }: { readonly chosen: Chosen; readonly mapped: Mapped }) {
    this.#node = node;
    this.#chosen = chosen;
    this.#mapped = mapped;
  }

  /** Rules on a frame that comes in from a device. Throws WrongChoice when the datapath has chosen what it must not. */
  handle(device: Device, frame: Buffer): Ruling {
    try {
      return HOOKS[device] === 'from_container' ? this.#fromContainer(device, frame) : this.#fromNetdev(device, frame);
    } catch (error) {
      if (error instanceof Refused) return { verdict: 'drop', drop: error.reason };
      throw error;
    }
  }

  #fromContainer(device: Device, frame: Buffer): Ruling {
    if (frame.readUInt16BE(12) === ETHERTYPE.arp) return this.#arp(device, frame);
    const at = { device, frame, view: viewOf(frame) };
    if (!this.#isInside(at.view.tuple.destination)) return this.#toOutside(at);
    this.#sender(at);
    return this.#inside(at);
  }

  #fromNetdev(device: Device, frame: Buffer): Ruling {
    const type = frame.readUInt16BE(12);
    if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return NEXT;
    if (macText(frame, 0) !== MAC.uplink) return NEXT;
    const at = { device, frame, view: viewOf(frame) };
    if (this.#isInside(at.view.tuple.destination)) return this.#inside(at);
    return this.#isHostTraffic(at.view) ? NEXT : this.#toNode(at);
  }

  #arp(device: Device, frame: Buffer): Ruling {
    const bytes = arpReply(frame, this.#node);
    return bytes === undefined ? NEXT : { verdict: 'redirect', bytes, to: device };
  }

  #toOutside(whole: Arrival): Ruling {
    if (whole.view.fragment !== undefined) this.#sender(whole);
    const view = this.#withPorts(whole.view);
    if (view === undefined) throw new Refused('DROP_FRAGMENT_MISS');
    const at = { ...whole, view };
    return this.#established(at) ?? this.#linkLocal(at) ?? this.#outsideOf(at, this.#sender(at));
  }

  #outsideOf(at: Arrival, sender: ModelEndpoint): Ruling {
    return (
      this.#icmpError(at) ??
      this.#service(at, sender) ??
      this.#hairpin(at, sender) ??
      this.#toHost(at) ??
      this.#egress(at, sender)
    );
  }

  #toNode(whole: Arrival): Ruling {
    const view = this.#withPorts(whole.view);
    // Fragments of the host's own datagrams are not ours to judge.
    if (view === undefined) return NEXT;
    const at = { ...whole, view };
    return (
      this.#established(at) ??
      this.#icmpError(at) ??
      this.#service(at, undefined) ??
      this.#admitted(at) ??
      this.#toHost(at) ??
      NEXT
    );
  }

  // --- who and where

  #isInside(address: Address): boolean {
    return longestMatch(this.#node.inside, address) !== undefined;
  }

  /** The pod that sends. Throws Refused when the address is not its own. */
  #sender({ device, view }: Arrival): ModelEndpoint {
    const endpoint = this.#node.endpoints.get(view.tuple.source);
    if (endpoint?.device !== device) throw new Refused('DROP_SPOOFED');
    return endpoint;
  }

  #nodeEndpoint(six: boolean): ModelEndpoint | undefined {
    return this.#node.endpoints.get(this.#nodeAddress(six));
  }

  #nodeAddress(six: boolean): Address {
    return addressOf(this.#node.config.node_address[six ? 1 : 0] ?? '::');
  }

  #isHostTraffic(view: View): boolean {
    const { destination, destinationPort } = view.tuple;
    if (destination !== this.#nodeAddress(view.six) || isIcmp(view) || view.fragment !== undefined) return false;
    const isOurs = isNatPort(this.#node, destinationPort) || isNodePort(this.#node, destinationPort);
    return !isOurs && this.#frontendOf(view) === undefined;
  }

  /** To the host's stack, but for ports that no process there can own. */
  #toHost({ view }: Arrival): Ruling | undefined {
    if (this.#node.endpoints.get(view.tuple.destination)?.isHost !== true) return undefined;
    if (!isIcmp(view) && isNatPort(this.#node, view.tuple.destinationPort)) throw new Refused('DROP_NO_FLOW');
    return NEXT;
  }

  /** By the host's routing table; undefined when it leads nowhere. */
  #wayTo(address: Address): Way | undefined {
    // A router forwards nothing to the addresses of a link (RFC 4291 section 2.5.6).
    if (/^fe[89ab]/.test(address)) return undefined;
    const device = longestMatch(this.#node.host, address)?.value;
    return device === undefined ? undefined : { device, mac: undefined, mtu: this.#node.config.uplink_mtu };
  }

  #wayInto({ device = '', mac, mtu }: ModelEndpoint): Way {
    return { device, mac, mtu };
  }

  // --- what is never translated

  #inside(at: Arrival): Ruling {
    const { destination } = at.view.tuple;
    const endpoint = this.#node.endpoints.get(destination);
    if (endpoint !== undefined) return this.#send(at, this.#wayInto(endpoint), at.view.tuple);
    const route = longestMatch(this.#node.routes, destination)?.value;
    if (route !== 'node') return this.#toNobody(at);
    // What came from the wire does not go back to it.
    if (at.device === 'uplink') return this.#refuse(at, 'DROP_NO_ENDPOINT', 'hostUnreachable');
    return this.#send(at, { device: 'uplink', mac: undefined, mtu: this.#node.config.uplink_mtu }, at.view.tuple);
  }

  /** A connection to a pod that is gone ends at once, if its sender may know of pods. */
  #toNobody(at: Arrival): Ruling {
    const { view } = at;
    const isOpen = view.tcp !== undefined && (view.tcp.flags & TCP.syn) === 0 && !isLater(view);
    if (!isOpen || !this.#showsInside(view)) return this.#refuse(at, 'DROP_NO_ENDPOINT', 'hostUnreachable');
    return answered(at.device, 'DROP_NO_ENDPOINT', reset(at.frame, view));
  }

  #showsInside({ six, tuple: { source } }: View): boolean {
    if (!this.#node.config.island[six ? 1 : 0] || this.#isInside(source)) return true;
    return longestMatch(this.#node.routes, source)?.value === 'native';
  }

  #linkLocal({ device, frame, view }: Arrival): Ruling | undefined {
    const { icmpType = 0 } = view;
    if (view.tuple.protocol === PROTOCOL.icmp6 && !isLater(view) && icmpType >= 133 && icmpType <= 137) {
      if (icmpType === 136) return NEXT;
      if (icmpType !== 135) throw new Refused('DROP_NOT_ROUTABLE');
      return { verdict: 'redirect', bytes: advertisement(frame, view, this.#node), to: device };
    }
    if (isNotRoutable(view)) throw new Refused('DROP_NOT_ROUTABLE');
    return undefined;
  }

  /** Hop limit and MTU, then one hop less and the new tuple. */
  #send(at: Arrival, way: Way, to: Tuple): Ruling {
    const { frame, view } = at;
    if (view.hops <= 1) return this.#refuse(at, 'DROP_TTL_EXCEEDED', 'timeExceeded');
    if (view.bytes.length > way.mtu) return this.#refuse(at, 'DROP_TOO_BIG', 'tooBig', way.mtu);
    return { verdict: 'redirect', bytes: this.#addressed(forwarded(frame, view, to), way), to: way.device };
  }

  /** A pod's device takes only its own MAC address; towards a next hop the kernel writes it. */
  #addressed(frame: Buffer, { mac }: Way): Buffer {
    if (mac === undefined) return frame;
    frame.set(macBytes(mac), 0);
    frame.set(macBytes(this.#node.config.gateway_mac), 6);
    return frame;
  }

  /** Counts a drop, and tells the sender when that is allowed. */
  #refuse({ device, frame, view }: Arrival, drop: DropName, kind: keyof typeof ANSWER, mtu = 0): Ruling {
    const from = kind === 'portUnreachable' ? view.tuple.destination : this.#nodeAddress(view.six);
    return answered(device, drop, icmpError(frame, view, { kind, from, mtu }));
  }

  // --- fragments

  /** Gives a later fragment what its first one said; undefined when that was not seen. */
  #withPorts(view: View): View | undefined {
    if (view.fragment === undefined) return view;
    const { source, destination, protocol } = view.tuple;
    const name = `${source} ${destination} ${view.fragment.id} ${view.six ? '' : protocol}`;
    if (!isLater(view)) {
      this.#fragments.set(name, { view });
      return view;
    }
    const first = this.#fragments.get(name)?.view;
    return first && { ...view, tuple: first.tuple, icmpType: first.icmpType };
  }

  // --- flows

  #established(at: Arrival): Ruling | undefined {
    const { icmpKind, tuple } = at.view;
    if (icmpKind === 'error' || icmpKind === 'other') return undefined;
    const entry = this.flows.get(tuple);
    if (entry === undefined) return undefined;
    if (entry.from === at.device && !startsOver(entry, at.view)) return this.#follow(at, entry);
    if (entry.from === at.device) {
      this.flows.remove(entry.flow);
      return undefined;
    }
    // The address has a new owner: what is left of the old one's flow gives way.
    if (this.#node.endpoints.get(tuple.source)?.device !== at.device) throw new Refused('DROP_WRONG_DEVICE');
    this.flows.remove(entry.flow);
    return undefined;
  }

  #follow(at: Arrival, entry: Entry): Ruling {
    const ruling = this.#send(at, entry.way, entry.to);
    if (ruling.drop !== undefined || ruling.bytes === undefined) return ruling;
    observe(entry, at.view, numbersOf(at.view));
    const { shift } = entry.flow;
    moveTimestamps(ruling.bytes, at.view, { echo: entry.isReply, by: entry.isReply ? -shift : shift });
    return ruling;
  }

  /** Only these can be translated, and only a packet that can open a flow opens one. */
  #checkOpens(at: Arrival): Ruling | undefined {
    const { view, device, frame } = at;
    switch (view.tuple.protocol) {
      case PROTOCOL.tcp:
      case SCTP:
        if (canBegin(view)) return undefined;
        return answered(device, 'DROP_NO_FLOW', reset(frame, view));
      case PROTOCOL.udp:
        return undefined;
      case PROTOCOL.icmp:
      case PROTOCOL.icmp6:
        if (view.icmpType === (view.six ? 128 : 8)) return undefined;
        throw new Refused(view.icmpKind === 'error' ? 'DROP_ICMP_ERROR_NO_FLOW' : 'DROP_ICMP_UNSUPPORTED');
      default:
        throw new Refused('DROP_UNSUPPORTED_PROTOCOL');
    }
  }

  #translate(at: Arrival, request: Request, sender: ModelEndpoint | undefined): Ruling {
    if (isShortInit(at.view)) throw new Refused('DROP_TRUNCATED');
    const original = at.view.tuple;
    const way = request.target ? this.#wayInto(request.target) : this.#wayTo(request.destination.address);
    const wayBack = sender ? this.#wayInto(sender) : this.#wayTo(original.source);
    if (way === undefined || wayBack === undefined) return this.#refuse(at, 'DROP_NO_ROUTE', 'netUnreachable');
    const choice = this.#choose(at, request);
    if (choice === undefined) return this.#refuse(at, 'DROP_PORTS_EXHAUSTED', 'prohibited');
    this.#begin({ original, ...choice, from: at.device, answersFrom: way.device, way, wayBack });
    return this.#followNew(at);
  }

  #begin(flow: Pick<Flow, 'original' | 'translated' | 'shift' | 'from' | 'answersFrom' | 'way' | 'wayBack'>): void {
    this.flows.insert({ ...flow, ended: { original: false, reply: false, reset: false }, record: undefined });
  }

  #followNew(at: Arrival): Ruling {
    const entry = this.flows.get(at.view.tuple);
    if (entry === undefined) throw new Error(`${tupleText(at.view.tuple)} has no flow`);
    return this.#follow(at, entry);
  }

  /** What the new flow leaves as; undefined when no port is left. */
  #choose({ view }: Arrival, { owner, destination, independent }: Request): Choice | undefined {
    const kept: Tuple = { ...view.tuple, destination: destination.address, destinationPort: destination.port };
    if (owner === undefined && !this.flows.has(reverse(kept))) return { translated: kept, shift: 0 };
    const from = owner ?? this.#nodeEndpoint(view.six);
    if (from === undefined || from.blocks.length === 0) throw new Refused('DROP_NO_PORT_BLOCK');
    const inside = { address: view.tuple.source, port: view.tuple.sourcePort };
    const translated = { ...kept, source: from.natAddress };
    const wish = { flows: this.flows, mappings: this.mappings, owner: from, inside, translated, independent };
    return this.#decide({ ...wish, numbers: numbersOf(view) }, view.tuple);
  }

  #decide(wish: Wish, original: Tuple): Choice | undefined {
    const choice = this.#chosen(original);
    if (choice === undefined) {
      // A socket that sends to its own outside name: what answers looks like what was sent. Its door is open, though.
      if (isItself(wish, original)) {
        this.#contact(wish, { ...wish.translated, sourcePort: original.destinationPort }, original.destination);
        throw new Refused('DROP_NO_FLOW');
      }
      judgeRefusal(wish);
      return undefined;
    }
    const { sourcePort } = choice.translated;
    const translated = { ...wish.translated, sourcePort };
    if (tupleText(translated) !== tupleText(choice.translated)) {
      throw new WrongChoice(`${tupleText(choice.translated)} instead of ${tupleText(translated)}`);
    }
    const over = judgeChoice(wish, choice);
    if (over !== undefined) this.flows.remove(over);
    if (wish.independent) this.#contact(wish, translated, original.destination);
    return choice;
  }

  /** The socket has a mapping from now on, and has sent to this remote. */
  #contact({ inside }: Pick<Wish, 'inside'>, { protocol, source, sourcePort }: Tuple, remote: Address): void {
    const outside = { address: source, port: sourcePort };
    const known = this.mappings.byInside(protocol, inside);
    const mapping = known ?? { protocol, inside, outside, contacts: new Set<Address>() };
    if (known === undefined) this.mappings.add(mapping);
    mapping.contacts.add(remote);
  }

  #egress(at: Arrival, sender: ModelEndpoint): Ruling {
    const { tuple, six } = at.view;
    const route = longestMatch(this.#node.routes, tuple.destination)?.value;
    if (route === 'unreachable') return this.#refuse(at, 'DROP_NO_ROUTE', 'netUnreachable');
    if (route === 'native' || !this.#node.config.island[six ? 1 : 0]) {
      const way = this.#wayTo(tuple.destination);
      return way === undefined ? this.#refuse(at, 'DROP_NO_ROUTE', 'netUnreachable') : this.#send(at, way, tuple);
    }
    const destination = { address: tuple.destination, port: tuple.destinationPort };
    const independent = isIndependent(this.#node, tuple.protocol);
    return (
      this.#checkOpens(at) ??
      this.#translate(at, { owner: sender, destination, target: undefined, independent }, sender)
    );
  }

  // --- services

  #frontendOf({ tuple: { protocol, destination, destinationPort } }: View): ModelFrontend | undefined {
    return this.#node.services.get(frontendText(protocol, destination, destinationPort));
  }

  #service(at: Arrival, sender: ModelEndpoint | undefined): Ruling | undefined {
    const frontend = this.#frontendOf(at.view);
    if (frontend === undefined) return undefined;
    const backends = at.device === 'uplink' ? frontend.external : frontend.internal;
    const refused = this.#checkOpens(at);
    if (refused !== undefined) return refused;
    if (backends.length === 0) return this.#refuseService(at);
    const destination = this.#backendOf(at.view.tuple, backends);
    const target = this.#node.endpoints.get(destination.address);
    const owner = this.#serviceOwner(at.view, sender, target);
    return this.#translate(at, { owner, destination, target, independent: false }, sender);
  }

  #refuseService(at: Arrival): Ruling {
    const isTcp = at.view.tcp !== undefined;
    if (isTcp) return answered(at.device, 'DROP_NO_BACKEND', reset(at.frame, at.view));
    return this.#refuse(at, 'DROP_NO_BACKEND', 'portUnreachable');
  }

  /** Any backend will do: the one that the datapath has chosen, when it is one. */
  #backendOf(original: Tuple, backends: readonly Backend[]): Backend {
    const to = this.#chosen(original)?.translated;
    const backend = backends.find(({ address, port }) => address === to?.destination && port === to.destinationPort);
    if (to !== undefined && backend === undefined) throw new WrongChoice(`${tupleText(to)} leads to no backend`);
    const found = backend ?? backends[0];
    if (found === undefined) throw new Error('a service without backends');
    return found;
  }

  /** Whose ports are used; undefined when the client's own address and port are kept. */
  #serviceOwner(
    { six, tuple }: View,
    sender: ModelEndpoint | undefined,
    target: ModelEndpoint | undefined,
  ): ModelEndpoint | undefined {
    if (sender !== undefined) return sender;
    if (target !== undefined && !this.#isInside(tuple.source)) return undefined;
    return this.#nodeEndpoint(six);
  }

  // --- mapped ports

  #mappingAt({ tuple, ...view }: View): ReturnType<MappingTable['byOutside']> {
    const { protocol, destination, destinationPort } = tuple;
    if (isLater(view) || !isIndependent(this.#node, protocol) || !isNatPort(this.#node, destinationPort))
      return undefined;
    return this.mappings.byOutside(protocol, { address: destination, port: destinationPort });
  }

  /** Who may use a mapped port that it was not addressed from (RFC 4787 REQ-8): 1 an address that was sent to, 2 all. */
  #isAdmitted(contacts: ReadonlySet<Address>, remote: Address): boolean {
    const { filtering } = this.#node.config;
    return filtering === 2 || (filtering === 1 && contacts.has(remote));
  }

  /** From the wire to a mapped port: as if the pod had sent first. */
  #admitted(at: Arrival): Ruling | undefined {
    const mapping = this.#mappingAt(at.view);
    if (mapping === undefined || !canBegin(at.view)) return undefined;
    const translated = reverse(at.view.tuple);
    if (!this.#isAdmitted(mapping.contacts, translated.destination)) throw new Refused('DROP_FILTERED');
    const pod = this.#node.endpoints.get(mapping.inside.address);
    if (pod === undefined) throw new Refused('DROP_NO_ENDPOINT');
    const way = this.#wayTo(translated.destination);
    if (way === undefined) throw new Refused('DROP_NO_ROUTE');
    const original = { ...translated, source: mapping.inside.address, sourcePort: mapping.inside.port };
    // The socket reaches this remote by another port: a service's.
    if (this.flows.has(original)) throw new Refused('DROP_NO_FLOW');
    const wayBack = this.#wayInto(pod);
    const ways = { from: wayBack.device, answersFrom: at.device, way, wayBack };
    this.#begin({ original, translated, shift: 0, ...ways });
    return this.#followNew(at);
  }

  /** From a pod to another's mapped port: out by its own, in by that one (RFC 4787 REQ-9). */
  #hairpin(at: Arrival, sender: ModelEndpoint): Ruling | undefined {
    const mapping = this.#mappingAt(at.view);
    if (mapping === undefined) return undefined;
    const refused = this.#checkOpens(at);
    if (refused !== undefined) return refused;
    const target = this.#node.endpoints.get(mapping.inside.address);
    if (target === undefined) throw new Refused('DROP_NO_ENDPOINT');
    const { source, sourcePort } = at.view.tuple;
    const isOwn = mapping.inside.address === source && mapping.inside.port === sourcePort;
    if (!isOwn && !this.#isAdmitted(mapping.contacts, sender.natAddress)) this.#knockInVain(at, sender);
    const request = { owner: sender, destination: mapping.inside, target, independent: true };
    return this.#translate(at, request, sender);
  }

  /** Refused by the other pod's filtering: the sender's own mapping and contact stand all the same, if it has a port. */
  #knockInVain({ view: { tuple } }: Arrival, sender: ModelEndpoint): void {
    const { protocol, source, sourcePort, destination } = tuple;
    const inside = { address: source, port: sourcePort };
    const outside = this.#mapped(protocol, inside);
    if (outside === undefined) return;
    const known = this.mappings.byInside(protocol, inside)?.outside;
    const other = this.mappings.byOutside(protocol, outside)?.inside;
    const isOwn = sender.blocks.some(({ first, count }) => outside.port >= first && outside.port < first + count);
    const isRight = known === undefined ? other === undefined && isOwn : known.port === outside.port;
    if (!isRight) throw new WrongChoice(`${outside.port} for a socket of ${source}`);
    this.#contact({ inside }, { ...tuple, source: outside.address, sourcePort: outside.port }, destination);
    throw new Refused('DROP_FILTERED');
  }

  // --- errors

  /** An error about a translated packet goes to who sent that. */
  #icmpError(at: Arrival): Ruling | undefined {
    if (at.view.icmpKind !== 'error') return undefined;
    try {
      return this.#translateError(at);
    } catch (error) {
      // From the wire it may be about the host's own traffic, which the host judges itself.
      if (error instanceof Unreadable && at.device === 'uplink') return undefined;
      throw error;
    }
  }

  #translateError(at: Arrival): Ruling | undefined {
    const quote = readQuote(at.view);
    const entry = this.flows.get(answerOf(quote));
    if (entry === undefined) return undefined;
    if (entry.from !== at.device) throw new Refused('DROP_WRONG_DEVICE');
    if (at.view.hops <= 1) throw new Refused('DROP_TTL_EXCEEDED');
    const bytes = translatedError(at.frame, at.view, quote, reverse(entry.to));
    return { verdict: 'redirect', bytes: this.#addressed(bytes, entry.way), to: entry.way.device };
  }
}

function isItself({ mappings, inside, translated }: Wish, { destination, destinationPort }: Tuple): boolean {
  const outside = mappings.byInside(translated.protocol, inside)?.outside;
  return outside?.address === destination && outside.port === destinationPort;
}

/** An error whose quote tells nothing. */
class Unreadable extends Refused {}

function readQuote(view: View): ReturnType<typeof quoteOf> {
  try {
    return quoteOf(view);
  } catch (error) {
    throw error instanceof Refused ? new Unreadable(error.reason) : error;
  }
}

function answered(device: Device, drop: DropName, bytes: Buffer | undefined): Ruling {
  return bytes === undefined ? { verdict: 'drop', drop } : { verdict: 'redirect', drop, bytes, to: device };
}

/** RFC 1122, RFC 4291: multicast, broadcast, loopback, link-local, and IPv6 that stands for IPv4. */
/** Whether who has reached a Service opens another connection after the end of this one: it gets any backend. */
function startsOver({ flow, isReply, to }: Entry, { tuple, tcp }: View): boolean {
  const opens = ((tcp?.flags ?? 0) & (TCP.syn | TCP.ack | TCP.rst)) === TCP.syn;
  const isTranslated = to.destination !== tuple.destination || to.destinationPort !== tuple.destinationPort;
  return opens && !isReply && isTranslated && mayBeOver(flow);
}

/** Ends before its initiate tag. */
function isShortInit({ tuple, bytes, transport }: View): boolean {
  return tuple.protocol === SCTP && bytes.length < transport + 20;
}

/** Whether a packet can be a connection's first. */
function canBegin({ tuple, tcp }: View): boolean {
  const connects = tuple.protocol === PROTOCOL.tcp || tuple.protocol === SCTP;
  return !connects || ((tcp?.flags ?? 0) & (TCP.syn | TCP.ack | TCP.rst)) === TCP.syn;
}

function isNotRoutable({ six, tuple: { destination } }: View): boolean {
  if (six) return /^(ff|fe[89ab]|0{24})/.test(destination);
  const [first, second] = [24, 26].map((at) => Number.parseInt(destination.slice(at, at + 2), 16));
  return first === undefined || first >= 224 || first === 127 || first === 0 || (first === 169 && second === 254);
}
