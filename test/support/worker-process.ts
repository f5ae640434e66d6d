export { startTestWorker, type TestWorker } from 'keystride/testing';
