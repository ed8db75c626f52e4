import { compareHeads } from '../../src/lineage/head.ts';
import { reservationOf } from '../../src/lineage/incarnation.ts';
import * as code from '../../src/lineage/rules.ts';
import type { History, Mark } from './marks.ts';
import { ServerRecord } from './record.ts';
import type { Rules } from './rules.ts';

// The rules of a server are those of the code; what is written here are only rules that are switched off.

/** Whether the first head is older than the second. */
const isOlder = (one: History, other: History, { headsByIncarnation }: Rules): boolean =>
  headsByIncarnation ? compareHeads(one.head, other.head) < 0 : one.length < other.length;

/** Node: whether its store is refused because of a head: it is older, or has another record in the same place. */
export function isBehind(store: History, head: History, rules: Rules): boolean {
  if (isOlder(store, head, rules)) return true;
  if (!rules.headsByIncarnation) return store.length === head.length && store !== head;
  const isComparable = store.last === head.last || !rules.comparesOwnOnly;
  return isComparable && store.length >= head.length && !store.contains(head);
}

/** Node: whether an answer says that the number is not to be had. */
export const isTaken = (record: ServerRecord, wish: Mark): boolean =>
  record.closed || code.isTaken(record.facts, reservationOf(wish.incarnation));

const results = new Map<string, ServerRecord>();

function once(name: string, rule: () => code.LineageFacts): ServerRecord {
  const known = results.get(name);
  if (known !== undefined) return known;
  const result = ServerRecord.from(rule());
  results.set(name, result);
  return result;
}

/** Server: reserves a number. */
export const reserve = (record: ServerRecord, wish: Mark): ServerRecord =>
  once(`r${record.id},${wish.id}`, () => code.reserve(record.facts, reservationOf(wish.incarnation)));

/** Server: takes a mark unless it knows of a newer one. */
export const show = (record: ServerRecord, mark: Mark): ServerRecord =>
  once(`s${record.id},${mark.id}`, () => code.show(record.facts, mark.incarnation));

/** Server: takes a head from the boot that its mark names, never an older one. */
export function deposit(record: ServerRecord, mark: Mark, head: History, rules: Rules): ServerRecord {
  if (rules.headsByIncarnation) {
    return once(`d${record.id},${mark.id},${head.id}`, () =>
      code.deposit(record.facts, mark.incarnation, head.head),
    );
  }
  const { reserved, closed } = record;
  const isTaking = !closed && record.mark === mark && isOlder(record.head, head, rules);
  return isTaking ? ServerRecord.of(reserved, mark, head, closed) : record;
}

/** Server: whether it erases a key for this boot. */
export const mayErase = ({ facts }: ServerRecord, mark: Mark, { conditionalForget }: Rules): boolean =>
  conditionalForget ? code.mayChange(facts, mark.incarnation) : true;

/** Server: ends a lineage with a last mark, above all others. */
export function close(
  record: ServerRecord,
  mark: Mark,
  last: Mark,
  { conditionalClose }: Rules,
): ServerRecord {
  const from = (conditionalClose ? mark : last).incarnation;
  const head = { sequence: Number.MAX_SAFE_INTEGER, digest: new Uint8Array(0) };
  return once(`c${record.id},${mark.id},${last.id},${conditionalClose}`, () =>
    code.close(record.facts, from, { last: last.incarnation, head }),
  );
}
