// Vitest with one source file replaced: `mutate.ts` names the file and its mutated text in the environment.
import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const target = process.env['MUTATED_FILE'];
const textFile = process.env['MUTATED_TEXT'];

export default defineConfig({
  plugins: [
    {
      name: 'mutation',
      enforce: 'pre',
      load: (id) =>
        target !== undefined && textFile !== undefined && id === target
          ? readFileSync(textFile, 'utf8')
          : null,
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: './test/support/build-decoder.ts',
    pool: 'forks',
    maxWorkers: 1,
    bail: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
