import type { VerificationInput, VerificationReport } from '../contract/verification.ts';
import { verifyInstance } from '../workflow/verify-instance.ts';

/** Compares what a job has written with where it came from, as often as asked, and repairs it if asked to. */
export async function verification(input: VerificationInput): Promise<VerificationReport> {
  return verifyInstance(input);
}
