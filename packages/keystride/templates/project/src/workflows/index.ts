/** The entry of the workflow bundle: what is exported here is a workflow type. */
export * from 'keystride/workflows';
export { invoiceReminder } from './invoice-reminder.ts';
