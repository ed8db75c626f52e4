import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { page } from './survival-page.ts';
import { plotOf } from './survival-plot.ts';

// npm run survival: makes docs/survival.md and its figure. Everything follows from the seed.
const folder = fileURLToPath(new URL('../docs/', import.meta.url));
writeFileSync(`${folder}survival.md`, page());
writeFileSync(`${folder}survival.svg`, plotOf());
console.log('docs/survival.md and docs/survival.svg are made');
