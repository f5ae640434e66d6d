import type { HttpBindings } from '@hono/node-server';

/** One browser. */
export interface Session {
  readonly id: string;
  /** Who has signed in with the token, by the name that they gave. */
  readonly who?: string;
}

/** What handlers find in a request's context. */
export interface ConsoleEnv {
  Bindings: HttpBindings;
  Variables: {
    session: Session;
    /** Who sends it, as the audit names them. */
    who: string;
    /** It has shown the token itself: no browser adds that to what another site asks for. */
    bearer: boolean;
  };
}
