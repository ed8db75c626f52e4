// Writes the generated parts of openapi.json, docs/errors.md, docs/protocol.md and docs/fleet.md, and kit/vectors. A test
// fails when they differ from what is committed. Run with: npx tsx scripts/generate-docs.ts
import { writeFileSync } from 'node:fs';
import { generatedFiles } from './generated-files.ts';

for (const [path, text] of generatedFiles()) writeFileSync(new URL(`../${path}`, import.meta.url), text);
