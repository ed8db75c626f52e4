import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stormPage, stormPlot } from './storm-page.ts';

// npm run storm: makes docs/storm.md and its figure. Everything follows from the seed.
const folder = fileURLToPath(new URL('../docs/', import.meta.url));
writeFileSync(`${folder}storm.md`, stormPage());
writeFileSync(`${folder}storm.svg`, stormPlot());
console.log('docs/storm.md and docs/storm.svg are made');
