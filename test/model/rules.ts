/** Which rules a model runs under. Each can be switched off, to see what it is good for. */
export interface Rules {
  /** One record per store at a server; without it every slot has claims and heads of its own. */
  readonly lineage: boolean;
  /** One authentic newer mark fences; without it more than n − t of one generation are needed. */
  readonly singleMarkFences: boolean;
  /** A `KEY_UNKNOWN` makes the node ask for the state of the lineage at that server. */
  readonly asksOnUnknown: boolean;
  /** A slot enters the keyslot file, and recovers, only once it is linked to the lineage. */
  readonly linkFirst: boolean;
  /** The head is compared again in the answers that show the mark. */
  readonly comparesTwice: boolean;
  /** Heads are ordered by the writer's incarnation first; without it by sequence alone. */
  readonly headsByIncarnation: boolean;
  /** A boot makes generations only while it holds. */
  readonly holdsFirst: boolean;
  /** A boot writes only while it holds. */
  readonly writesHeld: boolean;
  /** A number is reserved at t servers before a mark is shown. */
  readonly reserves: boolean;
  /** `forget` is refused where a newer mark is known. */
  readonly conditionalForget: boolean;
}

/** The rules that are proposed. */
export const newRules: Rules = {
  lineage: true,
  singleMarkFences: true,
  asksOnUnknown: true,
  linkFirst: true,
  comparesTwice: true,
  headsByIncarnation: true,
  holdsFirst: true,
  writesHeld: true,
  reserves: true,
  conditionalForget: true,
};

/** The present rules: claims and heads per slot key. */
export const presentRules: Rules = {
  lineage: false,
  singleMarkFences: false,
  asksOnUnknown: false,
  linkFirst: false,
  comparesTwice: false,
  headsByIncarnation: false,
  holdsFirst: false,
  writesHeld: false,
  reserves: false,
  conditionalForget: false,
};

/** Slots of a generation, and how many of them open the store. */
export const SERVERS = 3;
export const THRESHOLD = 2;

/** A boot of a machine and its number; number 0 means no boot. */
export interface Mark {
  readonly number: number;
  readonly boot: number;
}

/** A state of the store: the marks of the writers of all its records, oldest first. */
export type History = readonly Mark[];

/** What a server remembers of a lineage, or of one slot under the present rules. */
export interface ServerRecord {
  readonly reserved: Mark;
  readonly mark: Mark;
  readonly head: History;
}

export const NOBODY: Mark = { number: 0, boot: 0 };
export const emptyRecord: ServerRecord = { reserved: NOBODY, mark: NOBODY, head: [] };

/**
 * Whether the first mark beats the second. Equal numbers are decided by the boot's id, which is random: here the earlier
 * boot wins, because that is the worse case.
 */
export const beats = (one: Mark, other: Mark): boolean =>
  one.number === other.number ? one.boot < other.boot : one.number > other.number;

export const isSame = (one: Mark, other: Mark): boolean =>
  one.number === other.number && one.boot === other.boot;

/** Whether the first head is older than the second. */
function isOlder(one: History, other: History, { headsByIncarnation }: Rules): boolean {
  const [first, second] = [one.at(-1) ?? NOBODY, other.at(-1) ?? NOBODY];
  if (headsByIncarnation && !isSame(first, second)) return beats(second, first);
  return one.length < other.length;
}

/** Node: whether its store is refused because of a head: it is older, or has another record in the same place. */
export function isBehind(store: History, head: History, rules: Rules): boolean {
  if (isOlder(store, head, rules)) return true;
  return !rules.headsByIncarnation && store.length === head.length && !isPrefix(head, store);
}

/** Whether every record of the first state is in the second: nothing of it is lost there. */
export const isPrefix = (first: History, second: History): boolean =>
  first.every((mark, at) => isSame(mark, second[at] ?? NOBODY));

/** Server: a number for a boot is taken when it, or a larger one, is another boot's. */
export const isTaken = ({ reserved }: ServerRecord, wish: Mark): boolean =>
  reserved.number > wish.number || (reserved.number === wish.number && reserved.boot !== wish.boot);

/** Server: reserves a number. */
export const reserve = (record: ServerRecord, wish: Mark): ServerRecord =>
  isTaken(record, wish) ? record : { ...record, reserved: wish };

/** Server: takes a mark unless it knows of a newer one. */
export const show = (record: ServerRecord, mark: Mark): ServerRecord =>
  beats(record.mark, mark) ? record : { ...record, mark, reserved: highest(record.reserved, mark) };

/** Server: takes a head from the boot that its mark names, never an older one. */
export const deposit = (record: ServerRecord, mark: Mark, head: History, rules: Rules): ServerRecord =>
  isSame(record.mark, mark) && isOlder(record.head, head, rules) ? { ...record, head } : record;

/** Server: whether it erases a key for this boot. */
export const mayForget = (record: ServerRecord, mark: Mark, { conditionalForget }: Rules): boolean =>
  !conditionalForget || !beats(record.mark, mark);

export const highest = (one: Mark, other: Mark): Mark => (beats(other, one) ? other : one);

/** Node: whether a boot that holds stops when this number of servers of one generation show newer marks. */
export const isFencedBy = (newer: number, { singleMarkFences }: Rules): boolean =>
  singleMarkFences ? newer > 0 : newer > SERVERS - THRESHOLD;
