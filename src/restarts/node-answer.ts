import { z } from 'zod';
import { escapeControls } from '../bytes/escape-controls.ts';
import { MAX_SLOTS } from '../keyslots/threshold.ts';

/** Longest text of a node that is shown; the rest says nothing that an operator needs here. */
const MAX_SHOWN = 300;
/** A state may name the servers of two generations, and of a change of the store key. */
const MAX_LISTED_SLOTS = 4 * MAX_SLOTS;

/** A text of a node, for a terminal: short, and without control characters. */
const shownText = z
  .string()
  .max(1_000_000)
  .transform((text) => {
    const shown = escapeControls(text.slice(0, MAX_SHOWN));
    return text.length > MAX_SHOWN ? `${shown}…` : shown;
  });
const account = z.string().regex(/^[1-9A-HJ-NP-Za-km-z]{40,64}$/);
const count = z.int().min(0).max(10_000_000);
const slotCount = z.int().min(0).max(MAX_SLOTS);

const slot = z.object({
  server: account,
  standing: shownText,
  isBoundElsewhere: z.boolean().default(false),
});

/**
 * The fields of `GET /info` with `GET /readyz`, or of the agent's `GET /status`, that a fleet status uses. Fields of other
 * releases are no fault, but a field that is there must have its form.
 */
const schema = z.object({
  accountId: account.optional(),
  instanceId: z
    .string()
    .regex(/^0x[0-9a-f]{32}$/)
    .optional(),
  state: z.string().regex(/^[a-z]{1,20}$/),
  summary: shownText,
  ready: z.boolean(),
  live: slotCount.optional(),
  n: slotCount.optional(),
  t: slotCount.optional(),
  slots: z.array(slot).max(MAX_LISTED_SLOTS).default([]),
  clients: count.optional(),
  clientsAtRisk: count,
  clientsUnregistered: count.default(0),
  waitingForFormerClients: count.default(0),
  draining: z.union([z.boolean(), z.object({ remaining: count })]).default(false),
  restartRefusal: shownText.optional(),
  storeFault: z.object({ code: shownText }).optional(),
  ring: z.object({ standing: shownText }).optional(),
  keyslots: z
    .object({
      t: slotCount,
      slots: z.array(z.object({ server: account, isLive: z.boolean() })).max(MAX_SLOTS),
    })
    .optional(),
});

/** What a node says of itself, checked for its form only: a node can lie. */
export type NodeAnswer = z.output<typeof schema> & {
  /** The accounts with keys at this node; known only from its agent, and only while all of them are listed. */
  readonly clientAccounts?: readonly string[];
};

/** Reads the answer of a node; the field that is not in its form, when one is not. */
export function readNodeAnswer(answer: unknown): NodeAnswer | { readonly wrongField: string } {
  const { data, error } = schema.safeParse(answer);
  if (data !== undefined) return data;
  const [field] = error.issues[0]?.path ?? [];
  return { wrongField: escapeControls(String(field ?? 'answer')).slice(0, 40) };
}
