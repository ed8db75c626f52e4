import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { followRitualEvents, parseRitualEvent, type RitualEventTarget } from '../../rituals/ritual-events.ts';
import { print, type StoreIo } from '../store/io.ts';
import { asOnlyFollower } from './agent-target.ts';
import { configuredOrAgent, type PlaceChoice, withFragments } from './session.ts';

/** `latchkey rituals follow`: works off a stream of events, one line of JSON each. */
export function addFollowCommand(parent: Command, io: StoreIo): void {
  configuredOrAgent(
    parent,
    'follow',
    'work off ritual events from stdin: store when finalized, revoke when revoked',
  ).action(async (options: PlaceChoice) => {
    await withFragments(options, (target) =>
      // A store of one's own has a lock already.
      options.agent === undefined
        ? follow(io, target)
        : asOnlyFollower(options.agent, () => follow(io, target)),
    );
  });
}

async function follow(io: StoreIo, target: RitualEventTarget): Promise<void> {
  // Where the source has to begin: with the events after this one.
  const position = (await target.position()) ?? null;
  await print(io.stdout, `${JSON.stringify({ position })}\n`);
  for await (const applied of followRitualEvents(target, eventsOf(io.stdin)))
    await print(io.stdout, `${JSON.stringify(applied)}\n`);
}

async function* eventsOf(stdin: StoreIo['stdin']) {
  const lines = createInterface({ input: Readable.from(stdin), crlfDelay: Number.POSITIVE_INFINITY });
  for await (const text of lines) if (text.trim() !== '') yield parseRitualEvent(text);
}
