// Versions and error codes of the CNI specification, and what the plugin prints instead of a result.

/** Oldest first. The shim answers VERSION with the same list. */
export const CNI_VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof CNI_VERSIONS)[number];
export const NEWEST_VERSION: CniVersion = '1.1.0';

/** Error codes of the specification; from 100 on they are this plugin's own. */
export const CNI_CODES = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodeFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  limited: 51,
  alreadyAdded: 101,
  exhausted: 102,
  notAsAdded: 103,
  taken: 104,
} as const;

/** What the plugin prints instead of a result. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}

export function isOlder(version: CniVersion, than: CniVersion): boolean {
  return CNI_VERSIONS.indexOf(version) < CNI_VERSIONS.indexOf(than);
}

/** The version that an answer to this configuration has: its own, when there is such a one. */
export function answerVersion(config: string): CniVersion {
  try {
    const { cniVersion } = JSON.parse(config) as { cniVersion?: unknown };
    return CNI_VERSIONS.find((version) => version === cniVersion) ?? NEWEST_VERSION;
  } catch {
    return NEWEST_VERSION;
  }
}
