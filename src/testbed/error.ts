// What goes wrong with namespaces, agents and pods that are made for a lab or a measurement.

/** Something of a testbed could not be made, used or removed; the message says what stayed as it was. */
export class TestbedError extends Error {
  readonly code: string = 'ERR_TESTBED';
}
