import { beforeEach, describe, expect, it } from 'vitest';
import { allowed, refused } from '../../../src/rituals/guard.ts';
import {
  type AppliedEvent,
  Datastore,
  followRitualEvents,
  parseRitualEvent,
  type RitualEvent,
  ritualEventsPosition,
} from '../../../src/rituals/rituals.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const finalized = (block: number, index: number, id: number, ...fragment: number[]): RitualEvent => ({
  event: 'finalized',
  block,
  index,
  id,
  timestamp: block,
  fragment: bytes(...fragment),
});
const revoked = (block: number, index: number, id: number): RitualEvent => ({
  event: 'revoked',
  block,
  index,
  id,
});
async function* streamOf(events: readonly RitualEvent[]): AsyncGenerator<RitualEvent> {
  yield* events;
}
async function follow(
  datastore: Datastore,
  events: readonly RitualEvent[],
): Promise<AppliedEvent['result'][]> {
  const results: AppliedEvent['result'][] = [];
  for await (const { result } of followRitualEvents(datastore, streamOf(events))) results.push(result);
  return results;
}

const story = [
  finalized(1, 0, 42, 1),
  finalized(1, 1, 43, 2),
  revoked(1, 2, 42),
  finalized(4, 0, 44, 3),
  revoked(4, 7, 43),
  revoked(5, 0, 99),
  finalized(6, 0, 42, 4),
];

/** A store whose process dies with one of its writes, before or after that took effect, and writes nothing more. */
function mortalStore(made: boolean) {
  let writes = 0;
  let state: 'alive' | 'dying' | 'dead' = 'alive';
  let crashAt = Number.POSITIVE_INFINITY;
  const die = () => {
    state = 'dead';
    throw new Error('power cut');
  };
  const store = new MemoryStore({
    beforeWrite: async () => {
      if (state !== 'alive') die();
      if (writes++ !== crashAt) return;
      if (!made) die();
      state = 'dying';
    },
    afterWrite: async () => {
      if (state !== 'alive') die();
    },
  });
  return {
    store,
    crashAfter: (more: number) => {
      crashAt = writes + more;
    },
    hasDied: () => state === 'dead',
  };
}

describe('ritual events', () => {
  let store: MemoryStore;
  let datastore: Datastore;
  beforeEach(async () => {
    store = new MemoryStore();
    datastore = await Datastore.initialize(store);
  });

  it('are worked off in order: stored when finalized, revoked when revoked', async () => {
    expect(await follow(datastore, story)).toEqual([
      'stored',
      'stored',
      'revoked',
      'stored',
      'revoked',
      'absent',
      'stored',
    ]);
    expect((await datastore.list()).map(({ id }) => id)).toEqual([44, 42]);
    expect((await datastore.retrieveFragment(42)).fragment).toEqual(bytes(4));
    expect(await ritualEventsPosition(datastore)).toEqual({ block: 6, index: 0 });
  });

  it('are not worked off twice: a stream that is sent again writes nothing and revives nothing', async () => {
    await follow(datastore, story.slice(0, 3));
    const { writes } = store;
    const again = await Datastore.initialize(store);
    expect(await follow(again, story.slice(0, 3))).toEqual(['repeated', 'repeated', 'repeated']);
    expect(store.writes).toBe(writes);
    expect((await again.list()).map(({ id }) => id)).toEqual([43]);
    expect(await follow(again, story)).toEqual([
      ...['repeated', 'repeated', 'repeated'],
      ...['stored', 'revoked', 'absent', 'stored'],
    ]);
  });

  it('survive a power cut at every write: nothing is lost, and the end is the same', async () => {
    let crashes = 0;
    for (const made of [true, false]) {
      for (let crashAt = 0; ; crashAt++) {
        const { store: disk, crashAfter, hasDied } = mortalStore(made);
        const before = await Datastore.initialize(disk);
        crashAfter(crashAt);
        const results = await follow(before, story).catch(() => undefined);
        // A store that dies in erasing an empty box is noticed by the next write.
        if (results !== undefined && !hasDied()) break;
        crashes++;
        const after = await Datastore.initialize(disk.reopened());
        const position = await ritualEventsPosition(after);
        const again = await follow(after, story);
        // What was acknowledged before the crash is not worked off again.
        const done = story.filter(
          ({ block, index }) =>
            position !== undefined &&
            (block < position.block || (block === position.block && index <= position.index)),
        );
        expect(again.filter((result) => result === 'repeated').length).toBe(done.length);
        expect((await after.list()).map(({ id }) => id)).toEqual([44, 42]);
        expect((await after.retrieveFragment(42)).fragment).toEqual(bytes(4));
      }
    }
    expect(crashes).toBeGreaterThan(4 * story.length);
  });

  it('must ascend, so that none is taken for one that was worked off', async () => {
    for (const late of [revoked(4, 0, 44), revoked(3, 9, 44), revoked(4, 1, 44)]) {
      const other = await Datastore.initialize(new MemoryStore());
      await expect(follow(other, [finalized(4, 1, 44, 3), late])).rejects.toMatchObject({
        code: 'FIELD_INVALID',
        field: 'block',
      });
      expect((await other.list()).length).toBe(1);
    }
  });

  it('stop at a conflict and at a refusal of the guard, before the position moves', async () => {
    await datastore.storeFragment(43, 1, bytes(9));
    await expect(follow(datastore, story)).rejects.toMatchObject({ code: 'RITUAL_CONFLICT' });
    expect(await ritualEventsPosition(datastore)).toEqual({ block: 1, index: 0 });
    const guarded = await Datastore.initialize(new MemoryStore(), {
      authorize: (operation) =>
        operation === 'delete' ? refused('unauthorized', 'not by this node') : allowed,
    });
    await expect(follow(guarded, story)).rejects.toMatchObject({ code: 'RITUAL_UNAUTHORIZED' });
    expect(await ritualEventsPosition(guarded)).toEqual({ block: 1, index: 1 });
  });

  it('are read from lines of JSON, strictly, and no error repeats a fragment', () => {
    const text = '{"event":"finalized","block":1,"index":0,"id":42,"timestamp":5,"fragment":"AQI="}';
    expect(parseRitualEvent(text)).toMatchObject({ id: 42, fragment: bytes(1, 2) });
    expect(parseRitualEvent('{"event":"revoked","block":1,"index":0,"id":42}')).toEqual(revoked(1, 0, 42));
    for (const bad of [
      text.slice(0, -1),
      text.replace('AQI=', 'AQI'),
      text.replace('"id":42', '"id":4.5'),
      text.replace('"id":42', '"id":-1'),
      text.replace('"id":42', '"id":"42"'),
      text.replace('finalized', 'started'),
      text.replace('{', '{"note":1,'),
      text.replace('"index":0,', ''),
    ]) {
      let message = '';
      try {
        parseRitualEvent(bad);
      } catch (error) {
        message = String(error);
      }
      expect(message).not.toBe('');
      expect(message).not.toContain('AQI');
    }
  });
});
