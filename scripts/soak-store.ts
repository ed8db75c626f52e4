// Long runs of the store's simulation and of real crashes:
//   npx tsx scripts/soak-store.ts [--kills 1000] [--runs 5000] [--seed 1]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SecretBytes } from '../src/bytes/secret-bytes.ts';
import { systemRandom } from '../src/crypto/random.ts';
import { crashRepeatedly } from '../test/crash/crash-series.ts';
import { randomRun } from '../test/simulation/random-run.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
  },
});
const [kills, runs, firstSeed] = [Number(values.kills), Number(values.runs), Number(values.seed)];

async function simulate(): Promise<string[]> {
  const broken: string[] = [];
  let acknowledged = 0;
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    try {
      acknowledged += await randomRun({ seed, lives: 8, actions: 30 });
    } catch (error) {
      broken.push(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
      console.error(error);
    }
    if ((seed - firstSeed + 1) % 500 === 0)
      console.log(`simulated ${seed - firstSeed + 1} runs, ${acknowledged} changes, ${broken.length} broken`);
  }
  return broken;
}

async function crash(): Promise<string[]> {
  if (kills === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-soak-'));
  try {
    const result = await crashRepeatedly({
      folder,
      key: new SecretBytes(systemRandom(32)),
      kills,
      killsPerStore: 20,
      seed: firstSeed,
      onKill: (kill, acknowledged) => {
        if (kill % 50 === 0) console.log(`killed ${kill}, ${acknowledged} records acknowledged`);
      },
    });
    return result.broken;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const broken = [...(await simulate()), ...(await crash())];
for (const line of broken) console.error(line);
console.log(broken.length === 0 ? 'no promise was broken' : `${broken.length} broken promises`);
process.exitCode = broken.length === 0 ? 0 : 1;
