import { DAY_MS } from '../trust/section-values.ts';
import { delayedEntries } from './delayed-entries.ts';
import type { FleetState } from './fleet-state.ts';
import type { FleetTime } from './fleet-time.ts';

/** How long before its end an entry is warned of: time enough to collect signatures, and for the delay. */
const NOTICE_MS = 14 * DAY_MS;

/** An entry of the newest manifest, and when that begins or ends. */
export interface TimedEntry {
  readonly name: string;
  readonly atMs: number;
}

/** What the newest manifest permits and will soon end: then machines or servers lose access, without another word. */
export function endingSoon({ newest }: FleetState, { chainMs }: FleetTime): readonly TimedEntry[] {
  if (newest === undefined) return [];
  return delayedEntries(newest).flatMap(({ name, untilMs }) =>
    untilMs !== undefined && untilMs > chainMs && untilMs - chainMs <= NOTICE_MS
      ? [{ name, atMs: untilMs }]
      : [],
  );
}
