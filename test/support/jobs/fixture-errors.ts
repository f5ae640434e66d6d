import type { Fault } from './fixture-contract.ts';

/** What a script raises when it is told nothing else. */
export class ScriptedError extends Error {
  override readonly name: string = 'ScriptedError';
}

/** A kind of scripted error that a policy can tell from its parent. */
export class ScriptedChild extends ScriptedError {
  override readonly name = 'ScriptedChild';
}

/** An error that no policy knows. */
export class OtherError extends Error {
  override readonly name = 'OtherError';
}

/** Raises the error of a fault, wrapped as deep as it says. `constraint` is raised by the database, not here. */
export function raise({ error, phase, item, depth }: Fault): never {
  let thrown = errorOf(error, `${phase} of item ${item} fails as told`);
  for (let level = depth; level > 0; level--)
    thrown = new Error(`wrapped ${level} deep around ${phase} of item ${item}`, { cause: thrown });
  throw thrown;
}

function errorOf(kind: Fault['error'], message: string): Error {
  if (kind === 'child') return new ScriptedChild(message);
  if (kind === 'other') return new OtherError(message);
  if (kind === 'reset')
    return Object.assign(new Error(`read ECONNRESET: ${message}`), { code: 'ECONNRESET' });
  if (kind === 'odd') return new ScriptedError(`a zero byte \0 and half an emoji \ud83d: ${message}`);
  if (kind === 'programming') return thrownBy(() => (undefined as unknown as { value: number }).value);
  // More than any machine has: the engine of JavaScript itself refuses.
  if (kind === 'memory') return thrownBy(() => new ArrayBuffer(2 ** 52));
  return new ScriptedError(message);
}

/** The error that the runtime itself makes of a mistake. */
function thrownBy(mistake: () => unknown): Error {
  try {
    mistake();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  return new Error('the mistake went unnoticed');
}
