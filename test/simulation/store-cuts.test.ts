import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/bytes/concat.ts';
import { SimulatedStore } from '../support/disk-store.ts';
import { type Survival, survivals } from '../support/disk-survival.ts';
import {
  checkAfterCut,
  checkAfterKillAndCut,
  checkKilledWhileOpening,
  runCut,
  type Scenario,
  type StoreActor,
} from './store-scenario.ts';

/** Segments so small that a few records fill one; and with a checkpoint after each, written beside the writes. */
const stores = [
  { kind: 'without checkpoints', tuning: { segmentBytes: 2048 } },
  { kind: 'with checkpoints', tuning: { segmentBytes: 2048, checkpointBytes: 0, compaction: 'automatic' } },
] as const;

type Make = () => Promise<SimulatedStore>;

const value = (text: string): Uint8Array => utf8(text.repeat(12));

async function fill(actor: StoreActor, count = 12): Promise<void> {
  for (let index = 0; index < count; index++) {
    await actor.put('plain', `name-${index % 7}`, value(`v${index}`));
    await actor.put('secret', `hidden-${index % 5}`, value(`s${index}`));
  }
  await actor.delete('plain', 'name-0');
}

async function writeBeside(actor: StoreActor, namespace: string, name: string): Promise<void> {
  for (let index = 0; index < 6; index++) await actor.put(namespace, `${name}-${index}`, value(`w${index}`));
}

const scenarios: readonly Scenario[] = [
  {
    name: 'puts, one after the other, over several segments',
    act: async (actor) => {
      for (let index = 0; index < 8; index++) await actor.put('plain', `name-${index}`, value(`v${index}`));
    },
  },
  {
    name: 'overwrites and deletes',
    prepare: (actor) => fill(actor, 4),
    act: async (actor) => {
      await actor.put('plain', 'name-1', value('other'));
      await actor.delete('plain', 'name-2');
      await actor.put('plain', 'name-2', new Uint8Array(0));
      await actor.delete('secret', 'hidden-1');
    },
  },
  {
    name: 'atomic batches over namespaces',
    prepare: (actor) => fill(actor, 4),
    act: async (actor) => {
      for (let turn = 0; turn < 3; turn++)
        await actor.batch([
          { kind: 'put', namespace: 'plain', name: 'left', value: value(`l${turn}`) },
          { kind: 'put', namespace: 'secret', name: 'right', value: value(`r${turn}`) },
          { kind: 'delete', namespace: 'plain', name: `name-${turn}` },
          { kind: 'put', namespace: 'plain', name: 'large', value: value(`x${turn}`.repeat(40)) },
        ]);
    },
  },
  {
    name: 'concurrent writers',
    prepare: (actor) => fill(actor, 2),
    act: async (actor) => {
      for (let turn = 0; turn < 3; turn++)
        await Promise.all(
          Array.from({ length: 6 }, (_, writer) =>
            actor.put('plain', `writer-${writer}`, value(`${turn}/${writer}`)),
          ),
        );
    },
  },
  {
    name: 'erasing a namespace, and using its name again',
    prepare: (actor) => fill(actor, 4),
    act: async (actor) => {
      await actor.erase('secret');
      await actor.put('secret', 'hidden-1', value('anew'));
    },
  },
  {
    name: 'compaction',
    prepare: (actor) => fill(actor, 20),
    act: async (actor) => {
      await actor.simulated.store.compact();
      await actor.put('plain', 'after', value('compaction'));
    },
  },
  {
    name: 'compaction with writers beside it',
    prepare: (actor) => fill(actor, 20),
    act: async (actor) => {
      await Promise.all([actor.simulated.store.compact(), writeBeside(actor, 'plain', 'name')]);
    },
  },
  {
    name: 'a change of the store key',
    prepare: (actor) => fill(actor, 6),
    act: async (actor) => {
      await actor.simulated.rotate();
      await actor.put('plain', 'after', value('rotation'));
    },
  },
  {
    name: 'a change of the store key with writers beside it',
    prepare: (actor) => fill(actor, 6),
    act: async (actor) => {
      await Promise.all([actor.simulated.rotate(), writeBeside(actor, 'secret', 'hidden')]);
    },
  },
  {
    name: 'a backup',
    prepare: (actor) => fill(actor, 6),
    act: async (actor) => {
      await Promise.all([actor.simulated.backup('/backup'), writeBeside(actor, 'plain', 'beside')]);
    },
  },
  {
    name: 'closing',
    prepare: (actor) => fill(actor, 6),
    act: (actor) => actor.simulated.store.close(),
  },
  {
    name: 'waiting for the work in the background, erasing, and closing',
    prepare: (actor) => fill(actor, 6),
    act: async (actor) => {
      await actor.simulated.store.settled();
      await actor.put('plain', 'name-1', value('between'));
      await actor.erase('secret');
      await actor.simulated.store.settled();
      await actor.put('secret', 'hidden-9', value('anew'));
      await actor.simulated.store.close();
    },
  },
];

/** Survival modes with chance in them are tried with several seeds. */
const fates = survivals.flatMap((survival) =>
  (survival === 'lost' || survival === 'kept' ? [1] : [1, 2]).map((seed) => ({ survival, seed })),
);

type Check = (actor: StoreActor, survival: Survival, seed: number) => Promise<void>;

async function explained(
  actor: StoreActor,
  cut: number,
  fate: (typeof fates)[number],
  check: Check,
): Promise<void> {
  try {
    await check(actor, fate.survival, fate.seed);
  } catch (cause) {
    const steps = actor.simulated.disk.operations.history.slice(-12).join('\n');
    throw new Error(`cut before step ${cut}, ${fate.survival}, seed ${fate.seed}; last steps:\n${steps}`, {
      cause,
    });
  }
}

/** Cuts before every step. @returns how many steps there were. */
async function cutEverywhere(make: Make, scenario: Scenario): Promise<number> {
  for (let cut = 1; ; cut++) {
    const { actor, finished } = await runCut(make, scenario, cut);
    for (const fate of fates) await explained(actor, cut, fate, checkAfterCut);
    if (finished) return cut;
  }
}

/** Kills before every step, and lets the power go later; each check uses its disk up. */
async function killEverywhere(make: Make, scenario: Scenario): Promise<number> {
  for (let cut = 1; ; cut++) {
    let finished = false;
    for (const fate of [
      { survival: 'lost', seed: 1 },
      { survival: 'subset', seed: 2 },
    ] as const) {
      for (const check of [checkAfterKillAndCut, checkKilledWhileOpening]) {
        const run = await runCut(make, scenario, cut);
        finished = run.finished;
        await explained(run.actor, cut, { ...fate, seed: fate.seed + cut }, check);
      }
    }
    if (finished) return cut;
  }
}

describe.each(stores)('power cut at every step, $kind', ({ tuning }) => {
  const make = () => SimulatedStore.create(tuning);

  it.each(scenarios)(
    '$name',
    async (scenario) => {
      // A scenario without steps would prove nothing.
      expect(await cutEverywhere(make, scenario)).toBeGreaterThan(2);
    },
    600_000,
  );
});

describe.each(stores)('killed at every step, opened again, and then a power cut, $kind', ({ tuning }) => {
  const make = () => SimulatedStore.create(tuning);

  it.each(scenarios)(
    '$name',
    async (scenario) => {
      expect(await killEverywhere(make, scenario)).toBeGreaterThan(2);
    },
    600_000,
  );
});
