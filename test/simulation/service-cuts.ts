import type { Store } from '../../src/store/api/store-api.ts';
import { SimulatedStore } from '../support/disk-store.ts';
import { survivals } from '../support/disk-survival.ts';

/** One operation of a data service, to be cut at every step of the disk. */
export interface ServiceOperation {
  readonly name: string;
  /** Makes the state before; never cut. */
  readonly prepare: (store: Store) => Promise<void>;
  /** The operation; the power may go at any step of it. */
  readonly act: (store: Store) => Promise<void>;
  /** Looks at what the next start finds. `acknowledged`: the operation had resolved before the cut. */
  readonly check: (store: Store, acknowledged: boolean) => Promise<void>;
}

/**
 * Runs the operation with the power cut before each of its steps and after the last, under every kind of survival,
 * and checks what is found after each.
 * @returns the number of cuts.
 */
export async function cutAtEveryStep(operation: ServiceOperation): Promise<number> {
  const whole = await prepared(operation);
  const first = whole.disk.steps + 1;
  await operation.act(whole.store);
  const last = whole.disk.steps;
  await whole.store.close();
  let cuts = 0;
  for (let step = first; step <= last + 1; step += 1) {
    for (const survival of survivals) {
      await cutOnce(operation, step, survival);
      cuts += 1;
    }
  }
  return cuts;
}

async function prepared(operation: ServiceOperation): Promise<SimulatedStore> {
  const simulated = await SimulatedStore.create();
  await operation.prepare(simulated.store);
  return simulated;
}

async function cutOnce(
  operation: ServiceOperation,
  step: number,
  survival: (typeof survivals)[number],
): Promise<void> {
  const simulated = await prepared(operation);
  simulated.disk.cutAt(step);
  const acknowledged = await operation.act(simulated.store).then(
    () => true,
    () => false,
  );
  const found = await simulated.powerCut(survival, step);
  try {
    await operation.check(found.store, acknowledged);
  } catch (cause) {
    throw new Error(`${operation.name}: cut at step ${step}, ${survival}, acknowledged ${acknowledged}`, {
      cause,
    });
  } finally {
    await found.store.close();
  }
}
