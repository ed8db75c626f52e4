import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { followRitualEvents, parseRitualEvent, ritualEventsPosition } from '../../rituals/ritual-events.ts';
import { print, type StoreIo } from '../store/io.ts';
import { type ConfigOption, configured, withDatastore } from './session.ts';

/** `latchkey rituals follow`: works off a stream of events, one line of JSON each. */
export function addFollowCommand(parent: Command, io: StoreIo): void {
  configured(
    parent,
    'follow',
    'work off ritual events from stdin: store when finalized, revoke when revoked',
  ).action(async (options: ConfigOption) => {
    await withDatastore(options, async (datastore) => {
      // Where the source has to begin: with the events after this one.
      const position = (await ritualEventsPosition(datastore)) ?? null;
      await print(io.stdout, `${JSON.stringify({ position })}\n`);
      for await (const applied of followRitualEvents(datastore, eventsOf(io.stdin))) {
        await print(io.stdout, `${JSON.stringify(applied)}\n`);
      }
    });
  });
}

async function* eventsOf(stdin: StoreIo['stdin']) {
  const lines = createInterface({ input: Readable.from(stdin), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const text of lines) if (text.trim() !== '') yield parseRitualEvent(text);
}
