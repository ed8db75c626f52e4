import { reservationOf } from '../../src/lineage/incarnation.ts';
import type { LineageFacts } from '../../src/lineage/rules.ts';
import { History, Mark, NOBODY, START } from './marks.ts';

/** What a server remembers of a lineage, or of one slot before lineages. There is one object for each content. */
export class ServerRecord {
  static readonly #known = new Map<string, ServerRecord>();
  readonly reserved: Mark;
  readonly mark: Mark;
  readonly head: History;
  /** Closed by a change of the store key. */
  readonly closed: boolean;
  /** A number of its own. */
  readonly id: number;
  /** As the code has it. */
  readonly facts: LineageFacts;

  private constructor(reserved: Mark, mark: Mark, head: History, closed: boolean) {
    this.reserved = reserved;
    this.mark = mark;
    this.head = head;
    this.closed = closed;
    this.id = ServerRecord.#known.size;
    this.facts = {
      reserved: reservationOf(reserved.incarnation),
      shown: mark.incarnation,
      head: head === START ? undefined : head.head,
      closed,
    };
  }

  static of(reserved: Mark, mark: Mark, head: History, closed = false): ServerRecord {
    const name = `${reserved.id},${mark.id},${head.id},${closed}`;
    const known = ServerRecord.#known.get(name);
    if (known !== undefined) return known;
    const record = new ServerRecord(reserved, mark, head, closed);
    ServerRecord.#known.set(name, record);
    return record;
  }

  static from({ reserved, shown, head, closed }: LineageFacts): ServerRecord {
    const mark = Mark.from(shown.number, shown.bootId);
    return ServerRecord.of(Mark.from(reserved.number, reserved.boot), mark, History.from(head), closed);
  }
}

/** What a server knows of a lineage at first sight. */
export const emptyRecord = ServerRecord.of(NOBODY, NOBODY, START);
