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
  /** The head is compared again in the answers to `reserve` and `claim`. */
  readonly comparesTwice: boolean;
  /** Heads are ordered by the writer's incarnation first; without it by sequence alone. */
  readonly headsByIncarnation: boolean;
  /** A boot makes generations only while it holds. */
  readonly holdsFirst: boolean;
  /** A boot writes only while it holds, and its first record names it. */
  readonly writesHeld: boolean;
  /** A number is reserved at t servers before a mark is shown. */
  readonly reserves: boolean;
  /** `forget` is refused where a newer mark is known. */
  readonly conditionalForget: boolean;
  /** Older generations are listed in the store; no generation of the keyslot file is forgotten. */
  readonly keepsOwnSlots: boolean;
  /** A mark that is beaten before the boot holds starts the recovery again; without it only the reservation. */
  readonly recoversAgain: boolean;
  /** A boot whose slots were lost before it holds asks every server before it makes a generation. */
  readonly sweeps: boolean;
  /** Such a boot links its new slots without a mark, then reserves and claims there. */
  readonly linksUnmarked: boolean;
  /** A `forget` of an older generation carries the head. */
  readonly forgetCarriesHead: boolean;
  /** With a lost answer or an unreachable server the sweep is not over. */
  readonly countsSilence: boolean;
  /** A holder goes on looking at the servers of older generations until these are closed. */
  readonly looksAtOlder: boolean;
  /** A holder sends its mark and head to every server that shows an older mark of the lineage, slot or not. */
  readonly marksEverywhere: boolean;
  /** A head is compared by content only with a store of the same incarnation. */
  readonly comparesOwnOnly: boolean;
  /** The store lists the lineage that is to be closed before it changes its key; without it afterwards. */
  readonly listsFormerFirst: boolean;
  /** A lineage is closed only where no newer mark is shown than the last one of the boot that leaves it. */
  readonly conditionalClose: boolean;
  /** A boot asks the servers of a former lineage before its first record. */
  readonly asksFormer: boolean;
  /** Not in the code: under a former lineage only marks count that came with the key of a slot. */
  readonly formerBySlot: boolean;
}

/** The rules in force. */
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
  keepsOwnSlots: true,
  recoversAgain: false,
  sweeps: true,
  linksUnmarked: true,
  forgetCarriesHead: true,
  countsSilence: false,
  looksAtOlder: true,
  marksEverywhere: true,
  comparesOwnOnly: true,
  listsFormerFirst: true,
  conditionalClose: true,
  asksFormer: true,
  formerBySlot: false,
};

/** The rules before lineages: claims and heads per slot key. */
export const formerRules: Rules = {
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
  keepsOwnSlots: true,
  recoversAgain: false,
  sweeps: false,
  linksUnmarked: false,
  forgetCarriesHead: false,
  countsSilence: false,
  looksAtOlder: false,
  marksEverywhere: false,
  comparesOwnOnly: false,
  listsFormerFirst: false,
  conditionalClose: false,
  asksFormer: false,
  formerBySlot: false,
};
