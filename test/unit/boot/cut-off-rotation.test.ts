import { describe, expect, it } from 'vitest';
import { neverInForce } from '../../../src/boot/life/cut-off-rotation.ts';
import { OlderGenerations } from '../../../src/boot/node/older-generations.ts';
import { OPENS_NOTHING } from '../../../src/boot/node/older-records.ts';
import type { RecoveredKey } from '../../../src/boot/obtain/recovery.ts';
import { SecretBytes } from '../../../src/bytes/secret-bytes.ts';
import type { LineageState } from '../../../src/protocol/lineage-state.ts';
import { enrol, fileOf } from '../../support/keyslot-fixtures.ts';
import { bootOf, lineageOf, stateOf } from '../../support/lineages.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const made = lineageOf(1);
const linked = made.incarnation(8, bootOf(3));
const untold = stateOf({ shown: linked });

/** What is noted of the lineage of a generation of 2 of 3 (or of another quorum) that did not open the store. */
async function judged(states: readonly LineageState[], quorum = { t: 2, n: 3 }) {
  const enrolment = await enrol(quorum);
  const recovered: RecoveredKey = {
    storeKey: enrolment.storeKey,
    generation: 1,
    serverKeys: new Map(),
    lineage: made,
    states,
    timeMs: undefined,
    slots: [],
  };
  return { note: neverInForce(fileOf(enrolment), recovered), servers: enrolment.servers };
}

describe('the lineage of a generation that does not open the store', () => {
  it('never came into force when more than n − t servers show its first mark and no head', async () => {
    const { note, servers } = await judged([untold, untold]);
    expect(note?.secret.equals(made.secret)).toBe(true);
    expect(note?.last).toEqual({ number: 8, boot: bootOf(3) });
    expect(note?.generations).toEqual([
      { t: OPENS_NOTHING, servers: servers.map(({ server, instanceId }) => ({ server, instanceId })) },
    ]);
  });

  it.each([
    [
      'one server shows a head',
      [untold, stateOf({ shown: linked, head: made.head(linked, 3, new Uint8Array(32)) })],
    ],
    ['too few servers know of it', [untold]],
    ['a mark is not its own', [untold, stateOf({ shown: lineageOf(2).incarnation(8, bootOf(3)) })]],
  ])('may be in force on another copy of the disk when %s', async (_why, states) => {
    expect((await judged(states)).note).toBeUndefined();
  });

  it('may be in force where t servers could know a head and not answer', async () => {
    expect((await judged([untold], { t: 1, n: 2 })).note).toBeUndefined();
    expect((await judged([untold, untold], { t: 1, n: 2 })).note).toBeDefined();
  });

  it('is noted only by a store that began a change of its key, and only once', async () => {
    const store = new MemoryStore();
    const present = lineageOf(9).secret;
    const open = () => OlderGenerations.open(store, present);
    const noteOf = async () => {
      const { note } = await judged([untold, untold]);
      if (note === undefined) throw new Error('nothing to note');
      return note;
    };
    // The host wrote a generation of its own into the file.
    const forged = await noteOf();
    const before = await open();
    before.leaveCutOff(forged);
    expect(before.lineages).toEqual([]);
    expect(() => forged.secret.reveal()).toThrow('wiped');
    await before.leaveLineage({ ...(await noteOf()), secret: new SecretBytes(present.reveal()) });
    const older = await open();
    older.leaveCutOff(await noteOf());
    expect(await older.save()).toBe(true);
    expect(older.lineages).toHaveLength(1);
    const again = await open();
    expect(again.lineages[0]?.secret.equals(made.secret)).toBe(true);
    again.leaveCutOff({ ...(await noteOf()), secret: lineageOf(4).secret });
    expect(again.lineages).toHaveLength(1);
  });
});
