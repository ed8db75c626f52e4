import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { verdictsBy, verdictsPath } from '../test/support/chain-verdicts.ts';

/**
 * Has the committed cases judged by `finality-grandpa` and `sp-trie`, and compares the verdicts with the committed
 * ones. Needs cargo. With `--write` it writes them instead.
 */
const manifest = fileURLToPath(new URL('../test/differential/finality-grandpa/Cargo.toml', import.meta.url));
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

function judge(lines: readonly string[]): readonly string[] {
  const output = execFileSync(
    'cargo',
    ['run', '--quiet', '--release', '--locked', '--manifest-path', manifest],
    { input: `${lines.join('\n')}\n`, maxBuffer: MAX_OUTPUT_BYTES, stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const verdicts = output.toString().trimEnd().split('\n');
  if (verdicts.length !== lines.length) throw new Error(`${lines.length} cases, ${verdicts.length} verdicts`);
  return verdicts;
}

/** One verdict a line, as the formatter of the project writes it. */
const text = `${JSON.stringify(verdictsBy(judge), null, 2)}\n`;
/** The data and not the text: a formatter may have changed the layout. */
const isSame = (committed: string): boolean => `${JSON.stringify(JSON.parse(committed), null, 2)}\n` === text;

if (process.argv.includes('--write')) {
  writeFileSync(verdictsPath, text);
  console.log(`written: ${verdictsPath}`);
} else if (existsSync(verdictsPath) && isSame(readFileSync(verdictsPath, 'utf8'))) {
  console.log('the committed verdicts of finality-grandpa and sp-trie are the same');
} else {
  console.error('the verdicts differ from the committed ones; npm run vectors:chain -- --write writes them');
  process.exitCode = 1;
}
