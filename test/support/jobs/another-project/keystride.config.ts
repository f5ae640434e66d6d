import { defineConfig } from 'keystride/config';
import jobs from '../keystride.config.ts';

/** The jobs of the tests once more, as those of a project of somebody else. */
export default defineConfig({ ...jobs, name: 'another project', workflows: '../workflows.ts' });
