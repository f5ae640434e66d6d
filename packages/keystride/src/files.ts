/** Files as sources: CSV and lines of JSON. */
export { csvReader } from './stores/files/csv-reader.ts';
export { ndjsonReader } from './stores/files/ndjson-reader.ts';
