// CNI_ARGS, `KEY=VALUE;KEY=VALUE`: how container runtimes tell what pod a container is of.
import { CNI_CODES, CniError } from './cni-error.js';

const KNOWN = [
  'IgnoreUnknown',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_UID',
  'K8S_POD_INFRA_CONTAINER_ID',
  'IP',
  'MAC',
] as const;

/** By key; what was not given is absent. */
export type CniArguments = Readonly<Partial<Record<(typeof KNOWN)[number], string>>>;

/** Throws CniError. Only a strict reading refuses keys that are not known: what exists must be able to end. */
export function parseArguments(text: string, strict: boolean): CniArguments {
  const pairs = text.split(';').filter((pair) => pair !== '');
  const entries = pairs.map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return at > 0 ? [pair.slice(0, at), pair.slice(at + 1)] : [pair, ''];
  });
  const given = Object.fromEntries(entries) as Record<string, string>;
  if (strict) checkPairs(pairs, given);
  return given;
}

function checkPairs(pairs: readonly string[], given: Readonly<Record<string, string>>): void {
  const broken = pairs.find((pair) => pair.indexOf('=') <= 0);
  if (broken !== undefined) throw refusal(`'${broken}' is no pair of the form KEY=VALUE`);
  const unknown = Object.keys(given).find((key) => !KNOWN.some((known) => known === key));
  if (unknown === undefined || ['1', 'true', 'True', 'TRUE'].includes(given.IgnoreUnknown ?? '')) return;
  throw refusal(`'${unknown}' is not known, and IgnoreUnknown=1 is not among them`);
}

function refusal(reason: string): CniError {
  return new CniError(CNI_CODES.invalidEnvironment, `CNI_ARGS: ${reason}`, 'nothing was changed');
}
