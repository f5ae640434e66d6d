import { defineConfig } from 'keystride/config';
import { invoices } from './invoices.ts';

export default defineConfig({
  jobs: [invoices],
  workflows: './workflows.ts',
  worker: () => import('./work.ts'),
});
