import type { Bench } from '../bench.ts';
import type { Contest } from '../contest.ts';
import type { Figures, Peer } from '../figures.ts';

/** Why another engine cannot be run here, in a sentence. */
export class NoPeer extends Error {
  override readonly name = 'NoPeer';
}

/**
 * What another engine takes for the same work, once, on the same data of the same server. Nothing where it was not asked
 * for; where it cannot be built or run, or does not do the work as it should be, the reason.
 */
export async function peerOf(
  bench: Bench,
  { peers }: { readonly peers: boolean },
  { prepare, check }: Pick<Contest<never>, 'prepare' | 'check'>,
  run: () => Promise<Peer>,
): Promise<Pick<Figures, 'peer' | 'peerSeconds' | 'peerMissing'>> {
  if (!peers) return {};
  await prepare();
  try {
    const peer = await run();
    await check();
    bench.note(`  ${peer.name.padEnd(33)} ${peer.seconds.toFixed(3)} s`);
    return { peer, peerSeconds: peer.seconds };
  } catch (error) {
    // Ours count all the same.
    const peerMissing = error instanceof Error ? error.message : String(error);
    bench.note(`  no peer: ${peerMissing}`);
    return { peerMissing };
  }
}
