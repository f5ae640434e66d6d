import type { Mutation } from './mutation.ts';

const guards = 'packages/keystride/src/console/guards';
const app = 'packages/keystride/src/console/app.ts';
const test = 'test/console/guards.test.ts';

/** What keeps others out of the console: each guard by itself. */
export const console: readonly Mutation[] = [
  {
    rule: 'the console answers to its own names alone',
    edits: [[app, '    expectHost(settings, port),\n', '']],
    test,
    named: 'is not evil.example',
  },
  {
    rule: 'a change that comes from another site is refused',
    edits: [[app, '    expectOwnOrigin(settings.url),\n', '']],
    test,
    named: 'from another site is refused',
  },
  {
    rule: 'a change needs the token of the session that sends it',
    edits: [[app, ', expectFormToken(seal));', ');']],
    test,
    named: 'with no token is refused',
  },
  {
    rule: 'the token of another session is of no use',
    edits: [[`${guards}/form-token.ts`, "seal.proof('form', id)", "seal.proof('form', id && '')"]],
    test,
    named: 'with the token of another session',
  },
  {
    rule: 'a browser cannot make up its session',
    edits: [
      [
        `${guards}/sealed.ts`,
        'sealed !== undefined && isSameSecret(proof, this.proof(purpose, text)) ? text : undefined',
        'sealed !== undefined && proof ? text : undefined',
      ],
    ],
    test,
    named: 'that the browser has made up',
  },
  {
    rule: 'a console that is for looking alone takes no changes',
    edits: [[app, ' refuseChanges(settings.readOnly),', '']],
    test,
    named: 'for looking alone',
  },
  {
    rule: 'a console does not listen where everybody would come in',
    edits: [
      [
        `${guards}/admission.ts`,
        'isLoopback(hostname) || token !== undefined ||',
        'hostname !== undefined || token !== undefined ||',
      ],
    ],
    test,
    named: 'while it would be everybody',
  },
  {
    rule: 'the header with the operator counts from a trusted proxy alone',
    edits: [[`${guards}/admission.ts`, 'proxy && isProxy(peerOf(context)) ?', 'proxy ?']],
    test,
    named: 'nobody whom another than the proxy names',
  },
  {
    rule: 'a request that is too large is refused',
    edits: [[app, '    bodyLimit({ maxSize: largestBody, onError: refuseLargeBody }),\n', '']],
    test,
    named: 'too large is refused',
  },
  {
    rule: 'signing in leads to no other site',
    edits: [
      [
        'packages/keystride/src/console/sign-in.ts',
        'to !== undefined && /^\\/(?![/\\\\])/u.test(to) ? to',
        'to !== undefined ? to',
      ],
    ],
    test,
    named: 'leads to no other site',
  },
  {
    rule: 'a file of the pages is one of those that are named',
    edits: [
      [
        'packages/keystride/src/console/assets.ts',
        'Object.hasOwn(assets, name) ? assets[name] : undefined',
        "assets[name] ?? { type: 'text/plain', file: () => own(name) }",
      ],
    ],
    test,
    named: 'no file but those of the pages',
  },
  {
    rule: 'the name of an export leads to no other place',
    edits: [
      [
        'packages/keystride/src/console/pages/skips/export.ts',
        "instance.replaceAll(/[^\\w.=-]/gu, '_')",
        "instance.replaceAll(/[\\r\\n]/gu, '_')",
      ],
    ],
    test: 'test/console/pages.test.ts',
    named: 'leads nowhere else',
  },
];
