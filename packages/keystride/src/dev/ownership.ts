import { Guard } from './guard.ts';
import { PartError } from './part.ts';
import { identityOf, type ProcessIdentity } from './processes.ts';
import type { ProcessOwner } from './server-process.ts';
import {
  claimHome,
  cleanUpLeftovers,
  isRunning,
  readState,
  removeState,
  writeState,
  type StackState,
} from './state.ts';
import type { StackAddresses } from '../settings/stack-addresses.ts';

/**
 * Our hold on one home: `stack.json` says who we are and what we started, the guard ends it when we die.
 * A home has one owner at a time; what a dead owner left is ended before the next begins.
 */
export class Ownership implements ProcessOwner {
  readonly #home: string;
  readonly #guard = new Guard();
  readonly #onEnded: (name: string) => void;
  #state: StackState;

  constructor(home: string, state: StackState, onEnded: (name: string) => void) {
    this.#home = home;
    this.#state = state;
    this.#onEnded = onEnded;
  }

  /**
   * Takes a home.
   * @param onLeftovers is told the names of the processes that a dead owner left and that were ended
   * @param onEnded is told the name of a process that ended by itself
   * @throws PartError when a living owner has it
   */
  static async take(
    home: string,
    onLeftovers: (names: string[]) => void,
    onEnded: (name: string) => void,
  ): Promise<Ownership> {
    const state = freshState();
    while (!claimHome(home, state)) {
      const present = readState(home);
      if (present === undefined) continue;
      if (isRunning(present)) throw alreadyRunning(home, present);
      onLeftovers(await cleanUpLeftovers(home, present));
    }
    return new Ownership(home, state, onEnded);
  }

  started(name: string, identity: ProcessIdentity, signal: NodeJS.Signals): void {
    this.#guard.watch(identity, signal);
    const others = this.#state.processes.filter((process) => process.name !== name);
    this.#change({ processes: [...others, { name, identity, signal }] });
  }

  ended(name: string, identity: ProcessIdentity, expected: boolean): void {
    this.#guard.release(identity);
    // A part that died by itself stays on the list, for `status` to name it; of workers only the living count.
    if (expected || name.startsWith('worker-'))
      this.#change({
        processes: this.#state.processes.filter((process) => process.identity.pid !== identity.pid),
      });
    if (!expected) this.#onEnded(name);
  }

  /** Everything is up, at these addresses. */
  up(addresses: Partial<StackAddresses>): void {
    this.#change({ status: 'up', addresses });
  }

  /** How other processes may talk to us. */
  listensAt(control: { url: string; token: string }): void {
    this.#change({ control });
  }

  /** The directory is temporary and goes with us. */
  removeAtTheEnd(directory: string): void {
    this.#guard.removeAtTheEnd(directory);
  }

  /** Lets go of the home. */
  release(): void {
    removeState(this.#home, this.#state.supervisor);
    this.#guard.close();
  }

  #change(change: Partial<StackState>): void {
    this.#state = { ...this.#state, ...change };
    writeState(this.#home, this.#state);
  }
}

function freshState(): StackState {
  const supervisor = identityOf(process.pid);
  if (supervisor === undefined) throw new Error('this machine does not tell when a process started');
  return {
    version: 2,
    status: 'starting',
    supervisor,
    startedAt: new Date().toISOString(),
    addresses: {},
    processes: [],
  };
}

function alreadyRunning(home: string, state: StackState): PartError {
  return new PartError({
    what: `a stack runs here already, supervised by process ${state.supervisor.pid}`,
    where: home,
    todo: 'Use it (`npx keystride dev status`), stop it (`npx keystride dev stop`), or choose another KEYSTRIDE_HOME.',
  });
}
