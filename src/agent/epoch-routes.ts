import { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import type { SecretBytes } from '../bytes/secret-bytes.ts';
import type { CurrentEpoch, EpochJournal } from '../epochs/epoch-journal.ts';
import type { ParticipantMessage } from '../epochs/epoch-messages.ts';
import { type EpochState, SEED_BYTES, SHARE_SCALAR_BYTES, type Share } from '../epochs/epoch-record.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import {
  base64Bytes,
  base64Text,
  integer,
  integerText,
  participant,
  participantBytes,
  secretBytes,
} from './agent-fields.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';
import { SECRET_STORE_PREFIX } from './agent-services.ts';

const journalName = z
  .string()
  .regex(/^[a-z0-9_-]{1,64}$/, 'must be 1 to 64 of a-z 0-9 _ -')
  .refine((name) => !name.startsWith(SECRET_STORE_PREFIX), 'is a name of a secret store')
  .meta({ description: '1 to 64 of a-z 0-9 _ -' });
const ofJournal = z.strictObject({ journal: journalName });
const ofEpoch = z.strictObject({ journal: journalName, epoch: integerText() });
const byDealer = ofEpoch.extend({ dealer: participantBytes });
const byPlayer = ofEpoch.extend({ player: participantBytes });

const written = z.strictObject({ written: z.boolean() });
const message = z.strictObject({ message: base64Bytes });
const entry = z.strictObject({ participant, message: base64Text });
const writeCodes = ['EPOCH_PRUNED', 'EPOCH_LIMIT'] as const;

/** A share in a body: the index from 1, and 32 secret bytes. */
export const shareBody = z.strictObject({
  index: integer.min(1),
  scalar: secretBytes(SHARE_SCALAR_BYTES),
});
/** A share in an answer. */
export const shareAnswer = z.strictObject({ index: z.int(), scalar: base64Text });

/** A secret as JSON text, which cannot be wiped, so it goes straight into the answer; the secret is wiped. */
export function revealOnce(secret: SecretBytes): string {
  try {
    return toBase64(secret.reveal());
  } finally {
    secret.wipe();
  }
}

/** A share as JSON; its scalar is wiped. */
export const shareToJson = ({ index, scalar }: Share): z.input<typeof shareAnswer> => ({
  index,
  scalar: revealOnce(scalar),
});

const entriesToJson = (entries: readonly ParticipantMessage[]): z.input<typeof entry>[] =>
  entries.map((each) => ({
    participant: toPrefixedHex(each.participant),
    message: toBase64(each.message),
  }));

const currentEpoch = z.strictObject({ number: z.int(), round: z.int(), output: base64Text.optional() });

const currentToJson = ({ number, round, output }: CurrentEpoch): z.input<typeof currentEpoch> => ({
  number,
  round,
  ...(output === undefined ? {} : { output: toBase64(output) }),
});

const journal = agentRoute({
  method: 'get',
  path: '/epochs/{journal}',
  summary: 'The newest committed epoch, and which epochs there are',
  parameters: ofJournal,
  answer: z.strictObject({
    current: currentEpoch.optional(),
    committed: z.array(z.int()),
    withMessages: z.array(z.int()),
    prunedBelow: z.int(),
  }),
  codes: ['EPOCH_JOURNAL_NOT_FOUND'],
  handle: async ({ path, services }) => {
    const opened = await services.existingJournal(path.journal);
    const current = opened.current();
    return {
      json: {
        ...(current === undefined ? {} : { current: currentToJson(current) }),
        committed: opened.committed(),
        withMessages: opened.epochs(),
        prunedBelow: opened.prunedBelow,
      },
    };
  },
});

const epoch = agentRoute({
  method: 'get',
  path: '/epochs/{journal}/{epoch}',
  summary: 'Everything public that an epoch holds, by participant; empty for an unknown epoch',
  parameters: ofEpoch,
  answer: z.strictObject({
    dealings: z.array(entry),
    acks: z.array(entry),
    logs: z.array(entry),
    evidence: z.array(entry),
  }),
  codes: ['EPOCH_JOURNAL_NOT_FOUND'],
  handle: async ({ path, services }) => {
    const opened = await services.existingJournal(path.journal);
    return {
      json: {
        dealings: entriesToJson(opened.dealings(path.epoch)),
        acks: entriesToJson(opened.acks(path.epoch)),
        logs: entriesToJson(opened.logs(path.epoch)),
        evidence: entriesToJson(opened.evidence(path.epoch)),
      },
    };
  },
});

const stateBody = z.strictObject({
  round: integer,
  rngSeed: secretBytes(SEED_BYTES),
  output: base64Bytes.optional(),
  share: shareBody.optional(),
});

const commit = agentRoute({
  method: 'put',
  path: '/epochs/{journal}/{epoch}',
  summary: 'Enters an epoch: share durable, then seed, then the current epoch moves; a kept seed stays',
  parameters: ofEpoch,
  body: stateBody,
  answer: written,
  codes: ['EPOCH_CONFLICT', 'EPOCH_SECRET_CONFLICT', ...writeCodes],
  handle: async ({ path, body, services }) => {
    const opened = await services.journal(path.journal);
    return { json: { written: await opened.commitEpoch(path.epoch, stateOf(body)) } };
  },
});

/** Absent members are absent, not undefined. */
const stateOf = ({ round, rngSeed, output, share }: z.output<typeof stateBody>): EpochState => ({
  round,
  rngSeed,
  ...(output === undefined ? {} : { output }),
  ...(share === undefined ? {} : { share }),
});

const secrets = agentRoute({
  method: 'get',
  path: '/epochs/{journal}/{epoch}/secrets',
  summary: "The share and the dealer's seed with which the epoch was entered",
  parameters: ofEpoch,
  answer: z.strictObject({ share: shareAnswer.optional(), rngSeed: base64Text.optional() }),
  codes: ['EPOCH_JOURNAL_NOT_FOUND'],
  handle: async ({ path, services }) => {
    const opened = await services.existingJournal(path.journal);
    const share = await opened.secrets.getShare(path.epoch);
    const seed = await opened.secrets.getSeed(path.epoch);
    return {
      json: {
        ...(share === undefined ? {} : { share: shareToJson(share) }),
        ...(seed === undefined ? {} : { rngSeed: revealOnce(seed) }),
      },
    };
  },
});

const putDealing = agentRoute({
  method: 'put',
  path: '/epochs/{journal}/{epoch}/dealings/{dealer}',
  summary: 'Records both halves of a dealing; ack it only after the answer. The first of a dealer counts',
  parameters: byDealer,
  body: z.strictObject({ publicMessage: base64Bytes, privateMessage: secretBytes() }),
  answer: written,
  codes: writeCodes,
  handle: async ({ path, body, services }) => {
    const opened = await services.journal(path.journal);
    return { json: { written: await opened.appendDealing(path.epoch, path.dealer, body) } };
  },
});

const getDealing = agentRoute({
  method: 'get',
  path: '/epochs/{journal}/{epoch}/dealings/{dealer}',
  summary: 'Both halves of a dealing',
  parameters: byDealer,
  answer: z.strictObject({ publicMessage: base64Text, privateMessage: base64Text }),
  codes: ['EPOCH_JOURNAL_NOT_FOUND', 'EPOCH_ENTRY_NOT_FOUND'],
  handle: async ({ path, services }) => {
    const opened = await services.existingJournal(path.journal);
    const publicMessage = opened.dealing(path.epoch, path.dealer);
    const half = await opened.privateDealing(path.epoch, path.dealer);
    if (publicMessage === undefined || half === undefined) throw noEntry(path.epoch, 'dealing');
    return { json: { publicMessage: toBase64(publicMessage), privateMessage: revealOnce(half) } };
  },
});

/** A route that records a message of one participant in an epoch; the first one counts. */
const recording = (
  kind: 'acks' | 'logs' | 'evidence',
  summary: string,
  append: (journal: EpochJournal, epoch: number, who: Uint8Array, message: Uint8Array) => Promise<boolean>,
): AgentRoute =>
  agentRoute({
    method: 'put',
    path:
      kind === 'acks'
        ? '/epochs/{journal}/{epoch}/acks/{player}'
        : `/epochs/{journal}/{epoch}/${kind}/{dealer}`,
    summary,
    parameters: kind === 'acks' ? byPlayer : byDealer,
    body: message,
    answer: written,
    codes: writeCodes,
    handle: async ({ path, body, services }) => {
      const who = 'player' in path ? path.player : path.dealer;
      const opened = await services.journal(path.journal);
      return { json: { written: await append(opened, path.epoch, who, body.message) } };
    },
  });

const putAck = recording('acks', "Records a player's ack of our own dealing", (opened, ...given) =>
  opened.appendAck(...given),
);
const putLog = recording('logs', "Records a dealer's finished log", (opened, ...given) =>
  opened.appendLog(...given),
);
const putEvidence = recording(
  'evidence',
  'Keeps the first proof that a dealer equivocated',
  (opened, ...given) => opened.appendEvidence(...given),
);

const prune = agentRoute({
  method: 'post',
  path: '/epochs/{journal}/prune',
  summary: 'Erases all epochs below `min`: messages and secrets lose their keys; the current epoch stays',
  parameters: ofJournal,
  body: z.strictObject({ min: integer }),
  answer: z.strictObject({ prunedBelow: z.int() }),
  codes: ['EPOCH_JOURNAL_NOT_FOUND', 'EPOCH_IS_CURRENT'],
  handle: async ({ path, body, services }) => {
    const opened = await services.existingJournal(path.journal);
    await opened.prune(body.min);
    return { json: { prunedBelow: opened.prunedBelow } };
  },
});

/** The error for an epoch without an entry of this kind. */
export const noEntry = (number: number, kind: string): EvidenceError =>
  new EvidenceError('EPOCH_ENTRY_NOT_FOUND', `epoch ${number} has no such ${kind}`, { field: kind });

/** The epoch journal of a DKG. */
export const epochRoutes: readonly AgentRoute[] = [
  ...[journal, prune, epoch, commit, secrets],
  ...[putDealing, getDealing, putAck, putLog, putEvidence],
];
