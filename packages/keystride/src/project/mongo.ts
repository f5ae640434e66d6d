import type { Db } from 'mongodb';
import { ToldError } from '../contract/errors.ts';
import type { Resource } from './worker-definition.ts';
import { mongodbUrl } from '../settings/environment.ts';
import { safeMessage } from '../stores/safe-message.ts';
import { createMongoClient, databaseOf } from '../stores/mongo/client.ts';

/**
 * A database that speaks MongoDB's protocol as a resource of a worker. Its writes are acknowledged by the journals of a
 * majority, and it reads from the primary, whatever the address asks for.
 *
 * @param options.variable names its address: `MONGODB_URL`.
 * @param options.title what people call it. @default MongoDB
 */
export function mongo<const Variable extends string>(options: {
  readonly variable: Variable;
  readonly title?: string;
}): Resource<Db, Readonly<Record<Variable, typeof mongodbUrl>>> {
  const { variable, title = 'MongoDB' } = options;
  return {
    title,
    variables: { [variable]: mongodbUrl } as Readonly<Record<Variable, typeof mongodbUrl>>,
    open: (values) => {
      const url = values[variable];
      try {
        return databaseOf(createMongoClient(url), url);
      } catch (error) {
        // The message of the driver may name an option that is a piece of a password.
        throw new ToldError(
          `${variable} is not what the driver takes: ${safeMessage(error)}. Correct its options and hosts; ` +
            'a password with special characters must be percent-encoded',
          { cause: error },
        );
      }
    },
    check: (database) => database.command({ ping: 1 }),
    close: (database) => database.client.close(),
  };
}
