import { z } from 'zod';
import { tryFromBase64 } from '../bytes/base64.ts';
import { EvidenceError, LatchkeyError } from '../errors/latchkey-error.ts';
import type { Datastore } from './datastore.ts';
import { recordType } from './record-type.ts';

/** Where an event stands: its block, and its place in the block. */
export interface EventPosition {
  readonly block: number;
  readonly index: number;
}

/** What happened to a ritual. */
export type RitualEvent =
  | (EventPosition & {
      readonly event: 'finalized';
      readonly id: number;
      /** Unix time in seconds. */
      readonly timestamp: number;
      /** The node's own fragment. */
      readonly fragment: Uint8Array;
    })
  | (EventPosition & { readonly event: 'revoked'; readonly id: number });

/** What an event changed. `repeated`: it had been worked off before. */
export type EventResult = 'stored' | 'unchanged' | 'revoked' | 'absent' | 'repeated';

/** An event that was worked off; its position is durable. */
export interface AppliedEvent extends EventPosition {
  readonly id: number;
  readonly result: EventResult;
}

const positions = recordType('RitualEvents', { block: 'integer', index: 'integer' });
const POSITION_ID = 'position';

/** Where events are worked off: a {@link Datastore} of this process ({@link eventTarget}), or a node behind its agent. */
export interface RitualEventTarget {
  /** As {@link Datastore.storeFragment}. */
  storeFragment(id: number, timestamp: number, fragment: Uint8Array): Promise<boolean>;
  /** As {@link Datastore.deleteFragment}. @throws LatchkeyError RITUAL_NOT_FOUND when there is none. */
  deleteFragment(id: number): Promise<void>;
  /** The position of the last event that was worked off. */
  position(): Promise<EventPosition | undefined>;
  /** Durable when it resolves. */
  keepPosition(position: EventPosition): Promise<void>;
}

/** A datastore that keeps the position in its own store. */
export const eventTarget = (datastore: Datastore): RitualEventTarget => ({
  storeFragment: (id, timestamp, fragment) => datastore.storeFragment(id, timestamp, fragment),
  deleteFragment: (id) => datastore.deleteFragment(id),
  position: () => ritualEventsPosition(datastore),
  keepPosition: (position) => keepPosition(datastore, position),
});

/** The position of the last event that was worked off; `undefined` before the first. */
export async function ritualEventsPosition(datastore: Datastore): Promise<EventPosition | undefined> {
  return datastore.transaction(async (transaction) => {
    const record = transaction.record(positions, POSITION_ID);
    const [block, index] = [await record.get('block'), await record.get('index')];
    return block === undefined || index === undefined ? undefined : { block, index };
  });
}

/**
 * Follows the events of rituals: stores the fragment of a ritual that is finalized, revokes that of one that is revoked. The
 * position is kept in the store after each event, so that a stream that is sent again, after a crash too, loses nothing and
 * repeats nothing but the event at which the crash was; that one changes nothing the second time.
 * @param datastore the datastore, or another place of fragments; one stream at a time.
 * @param events in ascending order, at the latest from {@link ritualEventsPosition} on.
 * @throws EvidenceError FIELD_INVALID when a position does not ascend: an event would be lost. RefusalError RITUAL_CONFLICT
 *   when another fragment is there, or the guard's refusal. The position stays before the event that failed.
 */
export async function* followRitualEvents(
  datastore: Datastore | RitualEventTarget,
  events: AsyncIterable<RitualEvent>,
): AsyncGenerator<AppliedEvent> {
  const target = 'keepPosition' in datastore ? datastore : eventTarget(datastore);
  const done = await target.position();
  let last: EventPosition | undefined;
  for await (const event of events) {
    if (last !== undefined && !isAfter(event, last)) {
      throw new EvidenceError('FIELD_INVALID', 'the events of a stream must ascend by block and index', {
        field: 'block',
        expected: `a position after ${last.block}/${last.index}`,
        observed: `${event.block}/${event.index}`,
      });
    }
    last = { block: event.block, index: event.index };
    const isRepeated = done !== undefined && !isAfter(event, done);
    const result = isRepeated ? 'repeated' : await apply(target, event);
    if (!isRepeated) await target.keepPosition(event);
    yield { ...last, id: event.id, result };
  }
}

const isAfter = (one: EventPosition, other: EventPosition): boolean =>
  one.block === other.block ? one.index > other.index : one.block > other.block;

async function apply(target: RitualEventTarget, event: RitualEvent): Promise<EventResult> {
  if (event.event === 'finalized') {
    const { id, timestamp, fragment } = event;
    return (await target.storeFragment(id, timestamp, fragment)) ? 'stored' : 'unchanged';
  }
  try {
    await target.deleteFragment(event.id);
    return 'revoked';
  } catch (error) {
    if (error instanceof LatchkeyError && error.code === 'RITUAL_NOT_FOUND') return 'absent';
    throw error;
  }
}

async function keepPosition(datastore: Datastore, { block, index }: EventPosition): Promise<void> {
  await datastore.transaction((transaction) => {
    const record = transaction.record(positions, POSITION_ID);
    record.set('block', block);
    record.set('index', index);
  });
}

const whole = z.int().min(0);
const line = z.discriminatedUnion('event', [
  z.strictObject({
    event: z.literal('finalized'),
    block: whole,
    index: whole,
    id: whole,
    timestamp: whole,
    fragment: z.string(),
  }),
  z.strictObject({ event: z.literal('revoked'), block: whole, index: whole, id: whole }),
]);

/**
 * Reads one event from a line of JSON: `{"event":"finalized","block","index","id","timestamp","fragment":"base64"}` or
 * `{"event":"revoked","block","index","id"}`.
 * @throws EvidenceError FIELD_INVALID, without the text: it may hold a fragment.
 */
export function parseRitualEvent(text: string): RitualEvent {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new EvidenceError('FIELD_INVALID', 'an event must be one line of JSON', { field: 'event' });
  }
  const parsed = line.safeParse(json);
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.map(String).join('.') || 'event';
    throw new EvidenceError('FIELD_INVALID', `${field} of an event is not as documented`, { field });
  }
  if (parsed.data.event === 'revoked') return parsed.data;
  const fragment = tryFromBase64(parsed.data.fragment);
  if (fragment === undefined) {
    throw new EvidenceError('FIELD_INVALID', 'fragment of an event must be base64', { field: 'fragment' });
  }
  return { ...parsed.data, fragment };
}
