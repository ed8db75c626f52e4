import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes/hex.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import {
  addGeneration,
  buildGeneration,
  confirmSlot,
  dropOlder,
  type EnrolledServer,
  firstFile,
  nextGeneration,
  withdrawSlot,
} from '../../src/keyslots/generations.ts';
import { KeyslotDisk } from '../../src/keyslots/keyslot-disk.ts';
import type { KeyslotFile } from '../../src/keyslots/keyslot-file.ts';
import { openStoreKey } from '../../src/keyslots/recovery-attempt.ts';
import { survivals } from '../support/disk-survival.ts';
import { answerOf, enrolledServer, identity } from '../support/keyslot-fixtures.ts';
import { aLineageSecret } from '../support/lineages.ts';
import { SimulatedDisk } from '../support/simulated-disk.ts';

const path = '/node/keyslots.json';
const quorum = { t: 2, n: 3 };

/** The node and its servers' memories; every write goes through a disk that may lose power. */
class World {
  readonly disk: SimulatedDisk;
  readonly storeKey = enrolledServer(1).key;
  /** What the servers remember, by slot id. */
  readonly memory = new Map<string, EnrolledServer>();

  constructor(disk = new SimulatedDisk()) {
    this.disk = disk;
  }

  issue(): EnrolledServer[] {
    const issued = [1, 2, 3].map((name) => enrolledServer(name));
    for (const server of issued) this.memory.set(toHex(server.slotId), server);
    return issued;
  }

  /**
   * One whole re-enrolment, as healing does it: write, withdraw a slot and confirm it again, drop, only then forget.
   */
  async reEnrol(file: KeyslotFile | undefined): Promise<KeyslotFile> {
    const slots = new KeyslotDisk(this.disk, path);
    const enrolled = this.issue();
    const input = {
      ...identity,
      storeKey: this.storeKey,
      lineageSecret: aLineageSecret(),
      generation: nextGeneration(file),
      quorum,
      enrolled,
    };
    const generation = await buildGeneration(input, systemRandom);
    let next = file === undefined ? firstFile(identity, generation) : addGeneration(file, generation).file;
    await slots.replace(next);
    for (const { slotId, instanceId } of enrolled) {
      next = withdrawSlot(next, this.storeKey, slotId);
      await slots.replace(next);
      next = confirmSlot(next, this.storeKey, slotId, instanceId);
      await slots.replace(next);
    }
    const { file: kept, dropped } = dropOlder(next);
    await slots.replace(kept);
    for (const { slotId } of dropped.flatMap((old) => old.slots)) this.memory.delete(toHex(slotId));
    return kept;
  }

  async recover(disk: SimulatedDisk, survivors: number): Promise<boolean> {
    const file = await new KeyslotDisk(disk, path).read(identity);
    const known = file.generations.flatMap(({ slots }) =>
      slots
        .filter(({ index }) => (survivors >> index) & 1)
        .map(({ slotId }) => this.memory.get(toHex(slotId))),
    );
    const answers = known.filter((server) => server !== undefined).map(answerOf);
    const { recovered } = await openStoreKey(file, 2, answers);
    return recovered?.storeKey.equals(this.storeKey) === true;
  }
}

describe('re-enrolment', () => {
  it('after a power cut at any step, any t servers open the file that is left', async () => {
    const cut = fc.record({
      step: fc.integer({ min: 1, max: 40 }),
      seed: fc.integer(),
      survival: fc.constantFrom(...survivals),
      // Any two of the three servers.
      survivors: fc.constantFrom(0b011, 0b101, 0b110),
    });
    await fc.assert(
      fc.asyncProperty(cut, async ({ step, seed, survival, survivors }) => {
        const world = new World();
        await world.disk.mkdir('/node');
        await world.disk.syncDirectory('/');
        const file = await world.reEnrol(undefined);
        world.disk.cutAt(world.disk.steps + step);
        try {
          await world.reEnrol(await world.reEnrol(file));
        } catch (error) {
          expect(error).toMatchObject({ code: 'KEYSLOT_WRITE_FAILED' });
        }
        expect(await world.recover(world.disk.afterPowerCut(survival, seed), survivors)).toBe(true);
      }),
      { numRuns: 80 },
    );
  });
});
