import { defineConfig } from 'keystride/config';
import { invoices } from './invoices.js';

export default defineConfig({
  jobs: [invoices],
  workflows: './workflows.js',
  worker: () => import('./work.js'),
});
