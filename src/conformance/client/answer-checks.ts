import { toBase64 } from '../../bytes/base64.ts';
import { utf8 } from '../../bytes/concat.ts';
import { systemRandom } from '../../crypto/random.ts';
import { generateX25519KeyPair } from '../../crypto/x25519.ts';
import { requireRule } from '../check.ts';
import { changes, flipped, neverAsked, randomHex, refuses } from './refusals.ts';
import type { ClientCheck } from './request-checks.ts';

const toKey = ['create', 'link'] as const;
const toLink = ['create', 'link', 'recover'] as const;
const toRecover = ['create', 'link', 'recover', 'forget'] as const;
const toClaim = ['create', 'link', 'reserve', 'claim'] as const;
const KEY_REQUEST = '/request-encryption-key';

const challengeChecks: readonly ClientCheck[] = [
  refuses({
    name: 'challenge-of-another-server',
    what: 'a challenge that names another server',
    fault: { answer: changes('/challenge', (body) => ({ ...body, server: randomHex(32) })) },
    steps: toKey,
    at: 'create',
    also: neverAsked(KEY_REQUEST, 'a quote is sent to a server that names itself another'),
  }),
  refuses({
    name: 'challenge-unknown-field',
    what: 'a challenge with an unknown field',
    fault: { answer: changes('/challenge', (body) => ({ ...body, note: 1 })) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'challenge-short',
    what: 'a challenge of 31 bytes',
    fault: {
      answer: changes('/challenge', (body) => ({ ...body, nonce: String(body['nonce']).slice(0, -2) })),
    },
    steps: toKey,
    at: 'create',
  }),
];

const sealChecks: readonly ClientCheck[] = [
  refuses({
    name: 'answer-of-another-server',
    what: 'an answer that names another server',
    fault: { answer: changes(KEY_REQUEST, (body) => ({ ...body, server: randomHex(32) })) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-sealed-by-another',
    what: 'an answer that is sealed by another key than the one of the chain',
    fault: { sealedBy: generateX25519KeyPair() },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-replayed',
    what: 'the answer to an earlier request',
    fault: { answer: changes(KEY_REQUEST, (body, former) => former[0] ?? body) },
    steps: toRecover,
    at: 'recover',
  }),
  refuses({
    name: 'answer-of-another-instance',
    what: 'an answer whose instance id was changed',
    fault: {
      answer: changes(KEY_REQUEST, (body) => ({ ...body, instanceId: flipped(body['instanceId'], 5) })),
    },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-small-order',
    what: 'an encapsulated key of small order',
    fault: { answer: changes(KEY_REQUEST, (body) => ({ ...body, enc: `0x${'00'.repeat(32)}` })) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-unknown-field',
    what: 'an answer with an unknown field',
    fault: { answer: changes(KEY_REQUEST, (body) => ({ ...body, note: 1 })) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'answer-base64',
    what: 'a ciphertext with a line break in its base64',
    fault: { answer: changes(KEY_REQUEST, (body) => ({ ...body, ciphertext: `${body['ciphertext']}\n` })) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'sealed-unknown-field',
    what: 'a sealed text with an unknown field',
    fault: { plaintext: (fields) => ({ ...fields, note: 1 }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'sealed-short-key',
    what: 'a sealed key of 16 bytes',
    fault: { plaintext: (fields) => ({ ...fields, key: String(fields['key']).slice(0, 34) }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'sealed-null',
    what: 'a sealed text with null extensions',
    fault: { plaintext: (fields) => ({ ...fields, extensions: null }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'sealed-finalized',
    what: 'a sealed text with a block that has no hash',
    fault: { plaintext: (fields) => ({ ...fields, finalized: { number: 1 } }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'extensions-empty',
    what: 'an empty object of extensions',
    fault: { plaintext: (fields) => ({ ...fields, extensions: {} }) },
    steps: toKey,
    at: 'create',
  }),
  {
    name: 'extensions-unknown',
    run: async (client) => {
      const extensions = { notKnownYet: toBase64(utf8('later')) };
      const run = await client.run({
        steps: toLink,
        fault: {
          plaintext: (fields) => ({ ...fields, extensions }),
          state: (_, state) => ({ ...state, extensions: new Map([['notKnownYet', utf8('later')]]) }),
        },
      });
      for (const step of toLink) {
        const { ok, reason = 'no reason' } = run.outcome(step, 0);
        requireRule(ok === true, `an extension of an unknown name ends ${step} with: ${reason}`);
      }
    },
  },
];

const slotChecks: readonly ClientCheck[] = [
  refuses({
    name: 'create-without-token',
    what: 'a created key without its recovery token',
    fault: { plaintext: ({ recoveryToken: _, ...fields }) => fields },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'create-not-fresh',
    what: 'a key that the server had before this client asked for it',
    fault: { plaintext: (fields) => ({ ...fields, created: false }) },
    steps: toKey,
    at: 'create',
  }),
  refuses({
    name: 'recover-swapped-slot',
    what: 'the key of another slot',
    fault: {
      plaintext: (fields) =>
        'recoveryToken' in fields ? fields : { ...fields, key: randomHex(32), keyId: randomHex(16) },
    },
    steps: toRecover,
    at: 'recover',
  }),
  refuses({
    name: 'recover-changed-key',
    what: 'another key under the same key id',
    fault: {
      plaintext: (fields) => ('recoveryToken' in fields ? fields : { ...fields, key: randomHex(32) }),
    },
    steps: toRecover,
    at: 'recover',
  }),
  refuses({
    name: 'link-not-shown',
    what: 'an answer that does not show the slot as linked',
    fault: {
      state: (route, state) => (route === 'key-status' ? { ...state, lineage: undefined } : state),
    },
    steps: toLink,
    at: 'link',
  }),
  refuses({
    name: 'reserve-taken',
    what: 'a number that another boot reserved',
    fault: {
      state: (route, state, lineage) =>
        route === 'reserve' && state.lineage !== undefined
          ? { ...state, lineage: { ...state.lineage, reserved: lineage.reservation(2, systemRandom(8)) } }
          : state,
    },
    steps: toClaim,
    at: 'reserve',
  }),
  refuses({
    name: 'claim-replaced',
    what: 'a claim after a newer boot has shown itself',
    fault: {
      state: (route, state, lineage) =>
        route === 'claim' && state.lineage !== undefined
          ? { ...state, lineage: { ...state.lineage, shown: lineage.incarnation(9, systemRandom(8)) } }
          : state,
    },
    steps: [...toClaim, 'forget'],
    at: 'claim',
  }),
  refuses({
    name: 'forget-kept',
    what: 'a key that the server kept for erased',
    fault: { state: (route, state) => (route === 'forget' ? { ...state, erased: false } : state) },
    steps: toRecover,
    at: 'forget',
  }),
];

const macChecks: readonly ClientCheck[] = [
  refuses({
    name: 'answer-mac-wrong',
    what: 'an answer with a wrong MAC',
    fault: { answer: changes('/key-status', (body) => ({ ...body, mac: flipped(body['mac'], 9) })) },
    steps: toLink,
    at: 'link',
  }),
  refuses({
    name: 'answer-mac-replayed',
    what: 'an answer whose MAC was made for another request',
    fault: { replaysMac: 'key-status' },
    steps: toLink,
    at: 'link',
  }),
  refuses({
    name: 'answer-mac-covers-draining',
    what: 'an answer whose `draining` was changed',
    fault: { answer: changes('/key-status', (body) => ({ ...body, draining: true })) },
    steps: toLink,
    at: 'link',
  }),
  refuses({
    name: 'answer-mac-covers-extensions',
    what: 'an answer to which an extension was added',
    fault: {
      answer: changes('/key-status', (body) => ({ ...body, extensions: { added: toBase64(utf8('x')) } })),
    },
    steps: toLink,
    at: 'link',
  }),
  refuses({
    name: 'answer-mac-null',
    what: 'an answer to which null extensions were added',
    fault: { answer: changes('/key-status', (body) => ({ ...body, extensions: null })) },
    steps: toLink,
    at: 'link',
  }),
  refuses({
    name: 'answer-mac-of-forget',
    what: 'a changed answer to `forget`',
    fault: {
      state: (route, state) => (route === 'forget' ? { ...state, erased: false } : state),
      answer: changes('/forget', (body) => ({ ...body, erased: true })),
    },
    steps: toRecover,
    at: 'forget',
  }),
  refuses({
    name: 'answer-mac-of-claim',
    what: 'an answer to `claim` with a wrong MAC',
    fault: { answer: changes('/claim', (body) => ({ ...body, mac: flipped(body['mac'], 9) })) },
    steps: toClaim,
    at: 'claim',
  }),
  refuses({
    name: 'answer-mac-of-status',
    what: 'an answer to `lineage-status` with a wrong MAC',
    fault: { answer: changes('/lineage-status', (body) => ({ ...body, mac: flipped(body['mac'], 9) })) },
    steps: ['create', 'link', 'status', 'forget'],
    at: 'status',
  }),
];

/** Rules about answers that no honest server gives. */
export const answerChecks: readonly ClientCheck[] = [
  ...challengeChecks,
  ...sealChecks,
  ...slotChecks,
  ...macChecks,
];
