import { failure } from '../contract/errors.ts';
import type { ProjectName } from '../contract/project-name.ts';
import { ledgerSql } from './schema.ts';
import type { Ledger } from './ledger.ts';

/**
 * Refuses an instance that another project has claimed: its job has the same name and is another one, with other steps,
 * checkpoints and skips. An instance that no project has claimed is anybody's.
 *
 * @throws OtherProject
 */
export function refuseOtherProject(ours: ProjectName, instance: string, claimedBy: string | null): void {
  const { name, formerly } = ours;
  if (name === undefined || claimedBy === null || claimedBy === name || formerly.includes(claimedBy)) return;
  const [job = instance] = instance.split(':', 1);
  throw failure(
    'OtherProject',
    `${instance} belongs to project ${claimedBy} on this ledger, and this is project ${name}: both have a job ${job}, and ` +
      'neither may go on with what the other has done. Give one of the two jobs another name, or give one of the ' +
      `projects a ledger in another database. If ${claimedBy} is what this project was called until now, say so in its ` +
      `keystride.config.ts: formerly: [${JSON.stringify(claimedBy)}]`,
  );
}

/** Refuses an instance by its key, as `refuseOtherProject` does. @throws OtherProject */
export async function refuseOtherProjects(ledger: Ledger, instance: string): Promise<void> {
  const [row] = await ledger.run(
    ledgerSql.selectFrom('keystride.instance').select('project').where('instance_key', '=', instance),
  );
  refuseOtherProject(ledger.project, instance, row?.project ?? null);
}
