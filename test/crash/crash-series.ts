import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { nodeFileSystem } from '../../src/disk/node-file-system.ts';
import { seededDice } from '../support/disk-dice.ts';
import { createStore } from '../support/disk-store.ts';
import { compileChild } from './compile-child.ts';
import { brokenPromises, type KillTime, runAndKill, startChild } from './crash-run.ts';

/** A series of crashes. */
export interface CrashSeries {
  readonly folder: string;
  readonly key: SecretBytes;
  readonly kills: number;
  /** Each store is crashed so often, so that recovery runs on what recovery left; then a fresh one is taken. */
  readonly killsPerStore: number;
  readonly seed: number;
  /** Random moments unless given. */
  readonly killTime?: KillTime;
  readonly onKill?: (kill: number, acknowledged: number) => void;
}

/** Crashes stores again and again, and checks after each crash. */
export async function crashRepeatedly({
  folder,
  key,
  kills,
  killsPerStore,
  seed,
  killTime,
  onKill,
}: CrashSeries): Promise<{
  readonly broken: string[];
  readonly acknowledged: number;
  readonly seed: number;
}> {
  const dice = seededDice(seed);
  const { folder: compiled, program } = compileChild();
  const broken: string[] = [];
  let acknowledged = 0;
  let next = startChild(program);
  for (let run = 0; run < kills; run++) {
    const path = join(folder, `store-${Math.floor(run / killsPerStore)}`);
    if (run % killsPerStore === 0) await (await createStore(nodeFileSystem, path, key)).close();
    const child = next;
    next = startChild(program);
    const acknowledgements = join(folder, `acknowledged-${run}`);
    const after = dice.chance(0.2) ? 'open' : 'first';
    writeFileSync(acknowledgements, '');
    const done = await runAndKill(
      child,
      { path, acknowledgements, key, run },
      killTime ?? { after, milliseconds: dice.below(80) },
    );
    rmSync(acknowledgements);
    acknowledged += done.records.length;
    onKill?.(run + 1, acknowledged);
    for (const line of await brokenPromises(path, key, run, done)) broken.push(`run ${run}: ${line}`);
  }
  next.kill('SIGKILL');
  rmSync(compiled, { recursive: true });
  return { broken, acknowledged, seed };
}
