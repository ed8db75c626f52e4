import type { BatchOperation, Namespace } from '../../src/store/api/store-api.ts';
import { reopenAfterCut, type SimulatedStore } from '../support/disk-store.ts';
import type { Survival } from '../support/disk-survival.ts';
import { type Change, contentsOf, StoreModel } from './store-model.ts';

/** Something that a program does with a store, and that may be cut anywhere. */
export interface Scenario {
  readonly name: string;
  /** Fills the store before the part that is cut. */
  readonly prepare?: (actor: StoreActor) => Promise<void>;
  readonly act: (actor: StoreActor) => Promise<void>;
}

/** Works on a store and keeps the model up to date. */
export class StoreActor {
  readonly simulated: SimulatedStore;
  readonly model: StoreModel;
  readonly #opened = new Map<string, Namespace>();

  constructor(simulated: SimulatedStore, model: StoreModel = new StoreModel()) {
    this.simulated = simulated;
    this.model = model;
  }

  put(namespace: string, name: string, value: Uint8Array): Promise<void> {
    return this.batch([{ kind: 'put', namespace, name, value }]);
  }

  delete(namespace: string, name: string): Promise<void> {
    return this.batch([{ kind: 'delete', namespace, name }]);
  }

  /** One operation goes through the namespace's own methods, more through `batch`. */
  batch(operations: readonly BatchOperation[]): Promise<void> {
    const change: Change = { kind: 'batch', operations };
    const [first] = operations;
    return this.model.follow(change, async () => {
      if (operations.length !== 1 || first === undefined || first.kind === 'expect')
        return this.simulated.store.batch(operations);
      // Without a wait where it can be had: the model counts on the order of asking.
      const namespace = this.#opened.get(first.namespace) ?? (await this.namespace(first.namespace));
      if (first.kind === 'put') await namespace.put(first.name, first.value);
      else await namespace.delete(first.name);
    });
  }

  erase(namespace: string): Promise<boolean> {
    this.#opened.delete(namespace);
    return this.model.follow({ kind: 'erase', namespace }, () =>
      this.simulated.store.eraseNamespace(namespace),
    );
  }

  /** Names that start with `secret` are erasable namespaces. */
  async namespace(name: string): Promise<Namespace> {
    const namespace = await this.simulated.store.namespace(name, { erasable: name.startsWith('secret') });
    this.#opened.set(name, namespace);
    return namespace;
  }
}

/** Runs a scenario with the power cut before step `cut` of its acting part; the model knows what may be left. */
export async function runCut(
  make: () => Promise<SimulatedStore>,
  scenario: Scenario,
  cut: number,
): Promise<{ readonly actor: StoreActor; readonly finished: boolean }> {
  const actor = new StoreActor(await make());
  await scenario.prepare?.(actor);
  const { disk } = actor.simulated;
  disk.cutAt(disk.steps + cut);
  let finished = false;
  try {
    await scenario.act(actor);
    finished = !disk.operations.off;
  } catch (error) {
    // Without power every operation fails; with it, an error is a bug.
    if (!disk.operations.off) throw error;
  }
  return { actor, finished };
}

/** Opens what a cut left, compares it with the model, and proves that the store goes on working and surviving. */
export async function checkAfterCut(actor: StoreActor, survival: Survival, seed: number): Promise<void> {
  const reopened = await reopenAfterCut(actor.simulated, survival, seed);
  const found = await contentsOf(reopened.store);
  actor.model.check(found);
  const next = new StoreActor(reopened, new StoreModel(found));
  await next.put('after', 'recovery', Uint8Array.of(1, 2, 3));
  const again = await reopenAfterCut(reopened, 'lost', seed);
  next.model.check(await contentsOf(again.store));
  await again.store.close();
}

/** The process is killed, the next one opens the store and shows it, and then the power goes: what was shown stays. */
export async function checkAfterKillAndCut(
  actor: StoreActor,
  survival: Survival,
  seed: number,
): Promise<void> {
  const second = await actor.simulated.leftByKill().reopen();
  const shown = await contentsOf(second.store);
  actor.model.check(shown);
  const third = await reopenAfterCut(second, survival, seed);
  new StoreModel(shown).check(await contentsOf(third.store));
  await third.store.close();
}

/** As before, but the power goes at some step of the second process's opening. */
export async function checkKilledWhileOpening(
  actor: StoreActor,
  survival: Survival,
  seed: number,
): Promise<void> {
  const killed = actor.simulated.leftByKill();
  killed.disk.cutAt(1 + (seed % 8));
  await killed.reopen().catch((error: unknown) => {
    if (!killed.disk.operations.off) throw error;
  });
  const third = await reopenAfterCut(killed, survival, seed);
  actor.model.check(await contentsOf(third.store));
  await third.store.close();
}
