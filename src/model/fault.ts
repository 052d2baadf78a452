// Why an object is refused: a word that machines compare, and a sentence that names the others.

/** The reason of a condition and of an Event. */
export type FaultCode =
  /** By itself, whatever others are like. */
  | 'Invalid'
  | 'OverlappingCIDR'
  | 'OverlappingPorts'
  /** Another object has the address. */
  | 'DuplicateAddress'
  /** Another object has the port at this address. */
  | 'DuplicatePort'
  | 'AddressInsidePodCIDR'
  | 'CIDROutsideNetwork'
  | 'PortOutsideRange'
  /** A node cannot be sent to in a family that it has pods of. */
  | 'NoAddress'
  | 'SeveralNodes'
  /** Somebody asks for what is left for nobody. */
  | 'Exhausted'
  /** Perhaps another version of the agent knows it. */
  | 'UnknownValue';

export interface Fault {
  readonly code: FaultCode;
  readonly reason: string;
}
