// Answers `nat who --at` from the journals: they are read without the agent and without maps.
import { openJournal } from '../api/journal-reader.js';
import type { AddressPort } from './address-port.js';
import { notFound } from './exit.js';
import { type JournalPlace, readingJournal } from './journals.js';
import { note, type Output } from './output.js';
import type { Moment } from './time.js';
import { explainNobodyThen, type PastOwnerItem, questionText, viewTenure } from './view/past-owner.js';

export interface PastQuestion {
  readonly query: AddressPort;
  readonly moment: Moment;
}

/** Who had the port then, on any node. Throws a not-found CliError that says what the journals know. */
export function findPastOwners(
  { query, moment }: PastQuestion,
  places: readonly JournalPlace[],
  output: Pick<Output, 'stderr'>,
): PastOwnerItem[] {
  const journals = places.map((place) => ({
    place,
    ...readingJournal(place.directory, () => openJournal(place.directory)),
  }));
  for (const { directory, damaged } of journals) {
    if (damaged > 0) note(output, `${damaged} lines of the journal ${directory} are damaged: what they said is lost`);
  }
  const found = journals.flatMap(({ history }) => history.at({ ...query, ...moment }));
  if (found.length > 0) return found.flatMap((tenure) => viewTenure(tenure, query));
  const ofAddress = journals.filter(({ history }) => history.addresses.includes(query.address));
  const asked = ofAddress.length > 0 ? ofAddress : journals;
  const reasons = asked.map(({ place, directory, history }) => {
    const whose = place.instance === undefined ? directory : `node ${place.instance.node}`;
    return explainNobodyThen({ query, moment, history, whose });
  });
  throw notFound(`nobody is known to have been behind ${questionText(query, moment)}: ${reasons.join('; ')}`);
}
