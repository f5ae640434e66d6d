import type { MongoBulkWriteError, MongoError, MongoServerError, MongoServerSelectionError } from 'mongodb';

/** The classes of the driver's errors that are looked into. */
interface DriverErrors {
  readonly MongoError: MongoError;
  readonly MongoBulkWriteError: MongoBulkWriteError;
  readonly MongoServerError: MongoServerError;
  readonly MongoServerSelectionError: MongoServerSelectionError;
}

/**
 * Whether the driver of MongoDB has raised this error, as this class of its or one that extends it. Asked by the names
 * of the classes: whoever has no MongoDB has no driver to load, and a job may bring another copy of it.
 */
export function isDriverError<Name extends keyof DriverErrors>(
  error: unknown,
  className: Name,
): error is DriverErrors[Name] {
  return isOfClass(error, className);
}

/** The same, where nothing is to follow for the error's type. */
export function isOfClass(error: unknown, className: string): boolean {
  if (!(error instanceof Error)) return false;
  for (
    let at = Object.getPrototypeOf(error) as object | null;
    at;
    at = Object.getPrototypeOf(at) as object | null
  )
    if (at.constructor.name === className) return true;
  return false;
}

/** Whether a document could not be written as BSON, or not read. The driver marks these itself, for the same reason. */
export function isBsonError(error: unknown): error is Error {
  return error instanceof Error && (error as { readonly bsonError?: unknown }).bsonError === true;
}
