import { SkipItem, ToldError } from 'keystride';
import { HttpStatusError } from 'keystride/http';

/** A fault that is known beforehand: the document cannot be migrated, and trying again would not change that. */
interface ExpectedFault {
  /** As `expected_migration_target.code`. */
  readonly number: number;
  readonly message: string;
}

/** By the code that the skip list shows. From 3 on: the domain rules of the legacy system, as it names them. */
const expectedFaults: Readonly<Record<string, ExpectedFault>> = {
  NOT_FOUND: { number: 1, message: 'the legacy system does not know this document' },
  BAD_REQUEST: { number: 2, message: 'the legacy system refuses the request for this document' },
  UNSUPPORTED_FORMAT: { number: 3, message: 'the format of this document is no longer supported' },
  ENCRYPTED_DOCUMENT: { number: 4, message: 'this document is encrypted' },
  /** Not the API's word: an operator has decided so while the job held for the document. */
  SET_ASIDE: { number: 99, message: 'an operator has set this document aside' },
  UNSUPPORTED_LANGUAGE: { number: 5, message: 'the language of this document is not supported' },
};

/** The skip that an answer of the API calls for, if its fault is an expected one. */
export function expectedFault(error: unknown): SkipItem | undefined {
  if (!(error instanceof HttpStatusError)) return undefined;
  const code = codeOf(error);
  const fault = code === undefined ? undefined : expectedFaults[code];
  return fault && code ? new SkipItem(code, fault.message) : undefined;
}

/** The number under which an expected fault is kept. */
export function faultNumber(code: string): number {
  const fault = expectedFaults[code];
  if (!fault) throw new ToldError(`skip code ${code} is not in the table of expected faults`);
  return fault.number;
}

function codeOf({ status, code }: HttpStatusError): string | undefined {
  if (status === 404) return 'NOT_FOUND';
  if (status === 400) return 'BAD_REQUEST';
  return status === 422 ? code : undefined;
}
