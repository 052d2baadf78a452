// Pieces that the manifests of several kinds share, and how a violation reads.
import { z } from 'zod';
import { AddressError, type Cidr, type IpAddress, parseAddress, parseCidr } from '../model/address.js';
import type { FaultCode } from '../model/fault.js';
import type { PortRange } from '../model/network.js';

const PORT_MAX = 65535;

/** An object that is not what its kind asks for. */
export class ConvertError extends Error {
  readonly code = 'ERR_CONVERT';
  /** Of the first violation, from the root of the object. */
  readonly path: readonly PropertyKey[];
  readonly fault: FaultCode;

  constructor(message: string, path: readonly PropertyKey[], fault: FaultCode = 'Invalid') {
    super(message);
    this.path = path;
    this.fault = fault;
  }
}

/** A rule in CEL; bounds on lists and texts keep its cost low enough for the API server. */
interface Rule {
  readonly rule: string;
  readonly message: string;
}

/** Pairs of a CEL expression and what the API server says when it is false; for `meta` of a field of our own kinds. */
export function rules(...pairs: readonly (readonly [rule: string, message: string])[]) {
  return { 'x-kubernetes-validations': pairs.map(([rule, message]): Rule => ({ rule, message })) };
}

/** Of an IPv6 CIDR with an embedded IPv4 address. */
const CIDR_LENGTH_MAX = 49;

export const address = z.string().transform(parsedBy<IpAddress>(parseAddress));
/** An address, or a word that says that there is none. */
export const addressOr = (...words: readonly string[]) =>
  z.string().transform(parsedBy<string>((text) => (words.includes(text) ? text : parseAddress(text))));
export const cidr = z
  .string()
  .transform(parsedBy<Cidr>(parseCidr))
  .meta({ maxLength: CIDR_LENGTH_MAX, ...rules(['isCIDR(self)', 'expected a CIDR such as 10.244.0.0/16']) });
/** A CIDR, or a word. */
export const cidrOr = (word: string) =>
  z
    .string()
    .transform(parsedBy<string>((text) => (text === word ? text : parseCidr(text))))
    .meta({
      maxLength: CIDR_LENGTH_MAX,
      ...rules([`self == '${word}' || isCIDR(self)`, `expected a CIDR such as 192.0.2.0/24, or ${word}`]),
    });
/** An address or a CIDR, as `parse` reads it. */
export const addresses = <T>(parse: (text: string) => T) =>
  z
    .string()
    .transform(parsedBy(parse))
    .meta({
      maxLength: CIDR_LENGTH_MAX,
      ...rules(['isIP(self) || isCIDR(self)', 'expected an address such as 192.0.2.7, or a CIDR such as 192.0.2.0/28']),
    });
export const port = z.int().min(1).max(PORT_MAX);
export const protocol = z.enum(['TCP', 'UDP', 'SCTP']).default('TCP');

/** For what is no range at all there is the pattern. */
export const RANGE_RULE: readonly [string, string] = [
  "!self.matches('^[0-9]{1,5}-[0-9]{1,5}$') || (int(self.split('-')[0]) >= 1 && " +
    `int(self.split('-')[0]) <= int(self.split('-')[1]) && int(self.split('-')[1]) <= ${PORT_MAX})`,
  `expected first-last with 1 <= first <= last <= ${PORT_MAX}`,
];

/** `36864-65535`: both ends included. */
export const portRange = z
  .string()
  .regex(/^\d{1,5}-\d{1,5}$/, 'expected a range of ports such as 36864-65535')
  .transform((text): PortRange => {
    const [first = 0, last = 0] = text.split('-').map(Number);
    return { first, last };
  })
  .refine(({ first, last }) => first >= 1 && first <= last && last <= PORT_MAX, {
    error: `expected first-last with 1 <= first <= last <= ${PORT_MAX}`,
  })
  .meta({
    maxLength: '65535-65535'.length,
    ...rules(RANGE_RULE),
  });

/** When the API server was given the object; a manifest in a file does not say it. */
export const creationTimestamp = z.string().nullish();

/** metadata of a namespaced object. */
export const metadata = z.looseObject({
  name: z.string().min(1),
  namespace: z.string().min(1).default('default'),
  labels: z.record(z.string(), z.string()).nullish(),
  creationTimestamp,
});

/** Validates, or throws ConvertError with one sentence for each violation: `spec.ports[0].port: is missing`. */
export function validate<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { issues } = result.error;
  throw new ConvertError(issues.map(issueText).join('; '), issues[0]?.path ?? []);
}

/** `spec.ports[0].port: is missing`. */
function issueText(issue: z.core.$ZodIssue): string {
  const message = issue.message.replace(
    /^Invalid input: expected (.*), received undefined$/,
    'is missing: expected $1',
  );
  return `${z.core.toDotPath([...issue.path])}: ${message}`;
}

/** A transform of zod that says what AddressError says. */
export function parsedBy<T>(parse: (text: string) => T): (text: string, context: z.RefinementCtx) => T {
  return (text, context) => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  };
}
