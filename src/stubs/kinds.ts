import type { StubKind } from '../../packages/keystride/src/dev/stub.ts';

/** The API that documentMigration fetches documents from. */
export const legacyApiStub: StubKind = {
  name: 'legacyApi',
  folder: 'legacy-api',
  standsFor: 'the legacy API',
  variable: 'LEGACY_API_URL',
};

/** The API that couponExchange sends its messages through. */
export const messageProviderStub: StubKind = {
  name: 'messageProvider',
  folder: 'message-provider',
  standsFor: 'the message provider',
  variable: 'MESSAGE_PROVIDER_URL',
};
