import { z } from 'zod';
import { SEED_BYTES } from '../epochs/epoch-record.ts';
import { base64Text, integer, integerText, participantBytes, secretBytes } from './agent-fields.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';
import { noEntry, revealOnce, shareAnswer, shareBody, shareToJson } from './epoch-routes.ts';

const storeName = z
  .string()
  .regex(/^[a-z0-9_-]{1,48}$/, 'must be 1 to 48 of a-z 0-9 _ -')
  .meta({ description: '1 to 48 of a-z 0-9 _ -' });
const ofStore = z.strictObject({ name: storeName });
const ofEpoch = z.strictObject({ name: storeName, epoch: integerText() });
const byDealer = ofEpoch.extend({ dealer: participantBytes });

const kept = z.strictObject({ kept: z.literal(true) });
const missing = ['EPOCH_ENTRY_NOT_FOUND'] as const;
const onceCodes = ['EPOCH_SECRET_CONFLICT', 'EPOCH_PRUNED'] as const;

const putShare = agentRoute({
  method: 'put',
  path: '/secret-stores/{name}/{epoch}/share',
  summary: 'Keeps the share of an epoch; the same again writes nothing, another one is a conflict',
  parameters: ofEpoch,
  body: shareBody,
  answer: kept,
  codes: onceCodes,
  handle: async ({ path, body, services }) => {
    await (await services.secretStore(path.name)).putShare(path.epoch, body);
    return { json: { kept: true as const } };
  },
});

const getShare = agentRoute({
  method: 'get',
  path: '/secret-stores/{name}/{epoch}/share',
  summary: 'The share of an epoch',
  parameters: ofEpoch,
  answer: shareAnswer,
  codes: missing,
  handle: async ({ path, services }) => {
    const share = await (await services.existingSecretStore(path.name))?.getShare(path.epoch);
    if (share === undefined) throw noEntry(path.epoch, 'share');
    return { json: shareToJson(share) };
  },
});

const putSeed = agentRoute({
  method: 'put',
  path: '/secret-stores/{name}/{epoch}/seed',
  summary: "Keeps the seed of the dealer's polynomial, as the share is kept",
  parameters: ofEpoch,
  body: z.strictObject({ seed: secretBytes(SEED_BYTES) }),
  answer: kept,
  codes: onceCodes,
  handle: async ({ path, body, services }) => {
    await (await services.secretStore(path.name)).putSeed(path.epoch, body.seed);
    return { json: { kept: true as const } };
  },
});

const getSeed = agentRoute({
  method: 'get',
  path: '/secret-stores/{name}/{epoch}/seed',
  summary: "The seed of the dealer's polynomial",
  parameters: ofEpoch,
  answer: z.strictObject({ seed: base64Text }),
  codes: missing,
  handle: async ({ path, services }) => {
    const seed = await (await services.existingSecretStore(path.name))?.getSeed(path.epoch);
    if (seed === undefined) throw noEntry(path.epoch, 'seed');
    return { json: { seed: revealOnce(seed) } };
  },
});

const putDealing = agentRoute({
  method: 'put',
  path: '/secret-stores/{name}/{epoch}/dealings/{dealer}',
  summary: "Keeps a dealer's private message, or replaces it",
  parameters: byDealer,
  body: z.strictObject({ dealing: secretBytes() }),
  answer: kept,
  codes: ['EPOCH_PRUNED'],
  handle: async ({ path, body, services }) => {
    await (await services.secretStore(path.name)).putDealing(path.epoch, path.dealer, body.dealing);
    return { json: { kept: true as const } };
  },
});

const getDealing = agentRoute({
  method: 'get',
  path: '/secret-stores/{name}/{epoch}/dealings/{dealer}',
  summary: "A dealer's private message",
  parameters: byDealer,
  answer: z.strictObject({ dealing: base64Text }),
  codes: missing,
  handle: async ({ path, services }) => {
    const secrets = await services.existingSecretStore(path.name);
    const dealing = await secrets?.getDealing(path.epoch, path.dealer);
    if (dealing === undefined) throw noEntry(path.epoch, 'dealing');
    return { json: { dealing: revealOnce(dealing) } };
  },
});

const prune = agentRoute({
  method: 'post',
  path: '/secret-stores/{name}/prune',
  summary: 'Erases everything of the epochs below `min` for good; again: nothing to do',
  parameters: ofStore,
  body: z.strictObject({ min: integer }),
  answer: z.strictObject({ pruned: z.literal(true) }),
  handle: async ({ path, body, services }) => {
    await (await services.secretStore(path.name)).prune(body.min);
    return { json: { pruned: true as const } };
  },
});

/** The seven methods of a DKG's secret store, for a program that keeps its journal itself. */
export const secretStoreRoutes: readonly AgentRoute[] = [
  ...[putShare, getShare, putSeed, getSeed],
  ...[putDealing, getDealing, prune],
];
