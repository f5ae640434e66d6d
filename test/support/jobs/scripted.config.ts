import { defineConfig } from 'keystride/config';
import { fixture, fixtureHold } from './fixture-contract.ts';
import config from './keystride.config.ts';

/** The same project as whoever looks on has it: its jobs are those that do as they are told. */
export default defineConfig({ ...config, jobs: [fixture, fixtureHold] });
