import type { JobDefinition } from 'keystride';
import { invoiceReminder } from './invoice-reminder.ts';

/** Every job, in the order of the catalogue. */
export const catalogue = [invoiceReminder] satisfies JobDefinition[];
