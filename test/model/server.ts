import { type History, type Mark, NOBODY } from './marks.ts';
import { emptyRecord, ServerRecord } from './record.ts';
import { close, deposit, mayErase, reserve, show } from './record-rules.ts';
import type { Rules } from './rules.ts';
import { isAlive, isLinked, type Request, replaceAt, type Server, type SlotState } from './world.ts';

/** Where a server keeps the record of a generation's lineage. */
export type RecordIndex = (generation: number) => number;

/** The record that a slot shows, or `undefined` when the server has no such slot. */
export function shownBy(
  server: Server,
  generation: number,
  indexOf: RecordIndex,
  { lineage }: Rules,
): ServerRecord | undefined {
  if (!isAlive(server, generation)) return undefined;
  if (lineage && !isLinked(server, generation)) return emptyRecord;
  return server.records[indexOf(generation)] ?? emptyRecord;
}

const withRecord = (server: Server, index: number, record: ServerRecord): Server =>
  server.records[index] === record
    ? server
    : { ...server, records: replaceAt(server.records, index, record) };

/** A server with another state of one slot. */
export const withSlot = (server: Server, generation: number, state: SlotState): Server =>
  server.slots[generation] === state
    ? server
    : { ...server, slots: replaceAt(server.slots, generation, state) };

/** The server after a request. */
export function serve(server: Server, request: Request, indexOf: RecordIndex, rules: Rules): Server {
  switch (request.kind) {
    case 'reserve':
    case 'claim': {
      const record = shownBy(server, request.generation, indexOf, rules);
      if (record === undefined || (rules.lineage && !isLinked(server, request.generation))) return server;
      const index = indexOf(request.generation);
      if (request.kind === 'reserve') return withRecord(server, index, reserve(record, request.mark));
      return withSlotMark(withRecord(server, index, show(record, request.mark)), index, request.mark);
    }
    case 'status':
      return request.generations.reduce((after, generation) => {
        if (!isAlive(after, generation)) return after;
        return linked(after, { ...request, generation }, indexOf, rules);
      }, server);
    case 'link':
      return linked(server, request, indexOf, rules);
    case 'update': {
      const index = rules.lineage ? request.lineage : indexOf(request.forget[0] ?? 0);
      return updated(server, request, index, indexOf, rules);
    }
  }
}

function linked(
  server: Server,
  { generation, mark, head }: { generation: number; mark: Mark | undefined; head: History | undefined },
  indexOf: RecordIndex,
  rules: Rules,
): Server {
  const index = indexOf(generation);
  const record = server.records[index] ?? emptyRecord;
  if (record.closed) return server;
  const after = withSlot(server, generation, 'linked');
  if (mark === undefined) return after;
  const shown = show(record, mark);
  const known = withRecord(after, index, head === undefined ? shown : deposit(shown, mark, head, rules));
  return withSlotMark(known, index, mark);
}

const withSlotMark = (server: Server, index: number, mark: Mark): Server =>
  mark.beats(server.slotMarks[index] ?? NOBODY)
    ? { ...server, slotMarks: replaceAt(server.slotMarks, index, mark) }
    : server;

/** Whether the server has a record of the lineage: an update makes none. */
export const hasRecord = ({ slots, records }: Server, index: number, indexOf: RecordIndex): boolean =>
  (records[index] ?? emptyRecord) !== emptyRecord ||
  slots.some((state, generation) => state === 'linked' && indexOf(generation) === index);

/** Closed on what the keys of slots have shown, whatever mark the key of the lineage has shown. */
function closed(server: Server, index: number, last: Mark, indexOf: RecordIndex): Server {
  const { reserved, head } = server.records[index] ?? emptyRecord;
  const slots = server.slots.map((state, generation) => (indexOf(generation) === index ? 'none' : state));
  return withRecord({ ...server, slots }, index, ServerRecord.of(reserved, last, head, true));
}

function updated(
  server: Server,
  { mark, head, forget, close: last, lineage }: Request & { kind: 'update' },
  index: number,
  indexOf: RecordIndex,
  rules: Rules,
): Server {
  const record = server.records[index];
  if (record === undefined || record.closed || (rules.lineage && !hasRecord(server, index, indexOf)))
    return server;
  const isClosing = last !== undefined && rules.formerBySlot;
  if (isClosing && !(server.slotMarks[index] ?? NOBODY).beats(mark))
    return closed(server, index, last, indexOf);
  if (!mayErase(record, mark, rules) && !(last !== undefined && !rules.conditionalClose)) return server;
  const erased = server.slots.map((state, generation): SlotState => {
    const isMeant = last === undefined ? forget.includes(generation) : indexOf(generation) === lineage;
    return isMeant ? 'none' : state;
  });
  const shown = rules.lineage ? show(record, mark) : record;
  const after = head === undefined ? shown : deposit(shown, mark, head, rules);
  const result = last === undefined ? after : close(after, mark, last, rules);
  const isSame = erased.every((state, generation) => state === server.slots[generation]);
  return withRecord(isSame ? server : { ...server, slots: erased }, index, result);
}
