import { LatchkeyError } from '../../src/errors/latchkey-error.ts';
import type { BatchOperation } from '../../src/store/api/store-api.ts';
import { type Dice, seededDice } from '../support/disk-dice.ts';
import { reopenAfterCut, SimulatedStore } from '../support/disk-store.ts';
import { survivals } from '../support/disk-survival.ts';
import { type Change, contentsOf, StoreModel } from './store-model.ts';
import { StoreActor } from './store-scenario.ts';

const NAMESPACES = ['plain', 'other', 'secret'] as const;

/** How a random run goes; all by its seed. */
export interface RandomRun {
  readonly seed: number;
  /** Openings, each ended by a cut. */
  readonly lives: number;
  /** Most actions per life. */
  readonly actions: number;
}

/**
 * Recover, mutate, recover: a store lives through several power cuts, with random changes, compactions, key changes
 * and disk failures between, and after each holds what it must and nothing that it may not.
 * @returns how many changes were acknowledged.
 */
export async function randomRun({ seed, lives, actions }: RandomRun): Promise<number> {
  const dice = seededDice(seed);
  const compaction = dice.pick(['automatic', 'manual'] as const);
  const roomBytes = dice.pick([0, 100, 512, 4096]);
  const checkpointBytes = dice.pick([0, 0, 3000, Number.POSITIVE_INFINITY]);
  const tuning = { segmentBytes: 1024 << dice.below(5), compaction, roomBytes, checkpointBytes };
  let simulated = await SimulatedStore.create(tuning, seed);
  let model = new StoreModel();
  let acknowledged = 0;
  for (let life = 0; life < lives; life++) {
    const actor = new StoreActor(simulated, model);
    acknowledged += await live(actor, dice, actions);
    const survival = dice.pick(survivals);
    try {
      simulated = await reopenInterrupted(simulated, survival, dice);
      const found = await contentsOf(simulated.store);
      model.check(found);
      model = new StoreModel(found);
    } catch (cause) {
      const steps = actor.simulated.disk.operations.history.slice(-40).join('\n');
      throw new Error(`seed ${seed}, life ${life}, ${survival}; last steps:\n${steps}`, { cause });
    }
  }
  await simulated.store.close();
  return acknowledged;
}

/** In half of the cases a second power cut happens while the store is being opened. */
async function reopenInterrupted(
  simulated: SimulatedStore,
  survival: (typeof survivals)[number],
  dice: Dice,
): Promise<SimulatedStore> {
  if (dice.chance(0.5)) return reopenAfterCut(simulated, survival, dice.below(2 ** 31));
  const first = simulated.leftBy(survival, dice.below(2 ** 31));
  first.disk.cutAt(1 + dice.below(4));
  const opened = await first.reopen().catch((error: unknown) => {
    if (!first.disk.operations.off) throw error;
    return undefined;
  });
  if (opened !== undefined && !opened.disk.operations.off) {
    opened.disk.cutAt(Number.POSITIVE_INFINITY);
    return opened;
  }
  return reopenAfterCut(first, dice.pick(survivals), dice.below(2 ** 31));
}

async function live(actor: StoreActor, dice: Dice, most: number): Promise<number> {
  const { disk } = actor.simulated;
  for (const namespace of NAMESPACES) await actor.namespace(namespace);
  disk.cutAt(disk.steps + 1 + dice.below(80));
  let acknowledged = 0;
  const count = dice.below(most);
  for (let action = 0; action < count && !disk.operations.off; action++) {
    const results = await Promise.allSettled(actionsOf(actor, dice));
    for (const result of results) {
      if (result.status === 'fulfilled') acknowledged++;
      else if (!disk.operations.off && !isDiskTrouble(result.reason)) throw result.reason;
    }
    disk.setCapacity(undefined);
    disk.inject(undefined);
    if (actor.simulated.poisoned) break;
  }
  disk.cutAt(disk.steps);
  return acknowledged;
}

const isDiskTrouble = (error: unknown): boolean =>
  error instanceof LatchkeyError && ['STORE_DISK_FULL', 'STORE_WRITE_FAILED'].includes(error.code);

/** One action, or several at once. */
function actionsOf(actor: StoreActor, dice: Dice): Promise<unknown>[] {
  const kind = dice.below(20);
  if (kind === 0) return [actor.simulated.store.compact()];
  if (kind === 1) return [actor.simulated.rotate()];
  if (kind === 2) return [actor.erase('secret').then(() => actor.namespace('secret'))];
  if (kind === 3) return [actor.simulated.store.compact(), ...changesOf(actor, dice, 3)];
  if (kind === 4) {
    actor.simulated.disk.setCapacity(actor.simulated.disk.usedBytes + dice.below(600));
    return [failing(actor, changeOf(dice))];
  }
  if (kind === 5) {
    const code = 'EIO';
    const fails = dice.pick(['write', 'sync', 'create', 'rename', 'syncDirectory'] as const);
    const fault = { code, writtenBytes: dice.below(200), dropsDirty: dice.chance(0.5) };
    actor.simulated.disk.inject((operation) => (operation.kind === fails ? fault : undefined));
    actor.simulated.poisoned = true;
    return changesOf(actor, dice, 2);
  }
  return changesOf(actor, dice, 1 + dice.below(5));
}

const changesOf = (actor: StoreActor, dice: Dice, count: number): Promise<void>[] =>
  Array.from({ length: count }, () => actor.batch(changeOf(dice)));

/** A change that a full disk may refuse; then it must never be seen. */
async function failing(actor: StoreActor, operations: readonly BatchOperation[]): Promise<void> {
  const change: Change = { kind: 'batch', operations };
  try {
    await actor.model.follow(change, () => actor.simulated.store.batch(operations));
  } catch (error) {
    if (!actor.simulated.disk.operations.off) {
      if (error instanceof LatchkeyError && error.code === 'STORE_DISK_FULL') actor.model.refuse(change);
    }
    throw error;
  }
}

function changeOf(dice: Dice): BatchOperation[] {
  const size = dice.chance(0.7) ? 1 : 2 + dice.below(6);
  return Array.from({ length: size }, () => {
    const namespace = dice.pick(NAMESPACES);
    const name = `name-${dice.below(16)}`;
    if (dice.chance(0.25)) return { kind: 'delete', namespace, name };
    const length = dice.chance(0.1) ? dice.below(5000) : dice.below(200);
    return { kind: 'put', namespace, name, value: dice.bytes(length) };
  });
}
