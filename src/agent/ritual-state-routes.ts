import { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { ActiveRitual, Validator } from '../rituals/ritual-cache.ts';
import { base64Bytes, base64Text, integer, integerText, nothing } from './agent-fields.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';

const ofRitual = z.strictObject({ id: integerText() });
const ofPhase = z.strictObject({
  id: integerText(),
  phase: z.enum(['1', '2']).meta({ description: '1: transcript, 2: aggregation' }),
});
const kept = z.strictObject({ kept: z.literal(true) });
const unauthorized = ['RITUAL_UNAUTHORIZED'] as const;
const missing = ['RITUAL_ENTRY_NOT_FOUND', ...unauthorized] as const;

const nothingKept = (id: number, kind: string): EvidenceError =>
  new EvidenceError('RITUAL_ENTRY_NOT_FOUND', `ritual ${id} has no ${kind}`, { field: kind });

const transaction = z.strictObject({ transaction: base64Bytes });
const phaseOf = ({ id, phase }: z.output<typeof ofPhase>) =>
  ({ ritualId: id, phase: phase === '1' ? 1 : 2 }) as const;

const putPhase = agentRoute({
  method: 'put',
  path: '/rituals/{id}/phases/{phase}',
  summary: 'Remembers the transaction that was sent for a phase, as opaque bytes',
  parameters: ofPhase,
  body: transaction,
  answer: kept,
  codes: unauthorized,
  handle: async ({ path, body, services }) => {
    await (await services.rituals()).storePhaseTransaction(phaseOf(path), body.transaction);
    return { json: { kept: true as const } };
  },
});

const getPhase = agentRoute({
  method: 'get',
  path: '/rituals/{id}/phases/{phase}',
  summary: 'The transaction of a phase',
  parameters: ofPhase,
  answer: z.strictObject({ transaction: base64Text }),
  codes: missing,
  handle: async ({ path, services }) => {
    const found = await (await services.rituals()).phaseTransaction(phaseOf(path));
    if (found === undefined) throw nothingKept(path.id, 'transaction');
    return { json: { transaction: toBase64(found) } };
  },
});

const clearPhase = agentRoute({
  method: 'post',
  path: '/rituals/{id}/phases/{phase}/clear',
  summary: 'Forgets the transaction of a phase only if it is this one',
  parameters: ofPhase,
  body: transaction,
  answer: z.strictObject({ cleared: z.boolean() }),
  codes: unauthorized,
  handle: async ({ path, body, services }) => {
    const rituals = await services.rituals();
    return { json: { cleared: await rituals.clearPhaseTransaction(phaseOf(path), body.transaction) } };
  },
});

/** Validators, with their keys as the schema says. */
export const validatorsOf = <B extends z.ZodType>(bytes: B) =>
  z.strictObject({ validators: z.array(z.strictObject({ address: z.string(), publicKey: bytes })) });

/** Validators as JSON. */
export const validatorsJson = (validators: readonly Validator[]) =>
  validators.map(({ address, publicKey }) => ({ address, publicKey: toBase64(publicKey) }));

const putValidators = agentRoute({
  method: 'put',
  path: '/rituals/{id}/validators',
  summary: 'Remembers the validators of a ritual, in order; an empty list is as none',
  parameters: ofRitual,
  body: validatorsOf(base64Bytes),
  answer: kept,
  codes: unauthorized,
  handle: async ({ path, body, services }) => {
    await (await services.rituals()).storeValidators(path.id, body.validators);
    return { json: { kept: true as const } };
  },
});

const getValidators = agentRoute({
  method: 'get',
  path: '/rituals/{id}/validators',
  summary: 'The validators of a ritual, in order',
  parameters: ofRitual,
  answer: validatorsOf(base64Text),
  codes: missing,
  handle: async ({ path, services }) => {
    const found = await (await services.rituals()).validators(path.id);
    if (found === undefined) throw nothingKept(path.id, 'validators');
    return { json: { validators: validatorsJson(found) } };
  },
});

const activeFields = {
  dkgSize: integer,
  threshold: integer,
  totalAggregations: integer.meta({ description: 'equal to dkgSize: only then is a ritual active' }),
  initTimestamp: integer.meta({ description: 'unix time in seconds' }),
  endTimestamp: integer.meta({ description: 'unix time in seconds' }),
};
/** An active ritual, with its bytes as the schema says. */
export const activeOf = <B extends z.ZodType>(bytes: B) =>
  z.strictObject({ ...activeFields, aggregatedTranscript: bytes, publicKey: bytes });

/** An active ritual as JSON, without its id. */
export const activeJson = ({ id: _id, aggregatedTranscript, publicKey, ...numbers }: ActiveRitual) => ({
  ...numbers,
  aggregatedTranscript: toBase64(aggregatedTranscript),
  publicKey: toBase64(publicKey),
});

const putActive = agentRoute({
  method: 'put',
  path: '/rituals/{id}/active',
  summary: 'Remembers an active ritual, so that the chain need not be asked for every decryption',
  parameters: ofRitual,
  body: activeOf(base64Bytes),
  answer: kept,
  codes: ['RITUAL_NOT_ACTIVE', ...unauthorized],
  handle: async ({ path, body, services }) => {
    await (await services.rituals()).storeActiveRitual({ id: path.id, ...body });
    return { json: { kept: true as const } };
  },
});

const getActive = agentRoute({
  method: 'get',
  path: '/rituals/{id}/active',
  summary: 'The active ritual as it was remembered',
  parameters: ofRitual,
  answer: activeOf(base64Text),
  codes: missing,
  handle: async ({ path, services }) => {
    const found = await (await services.rituals()).activeRitual(path.id);
    if (found === undefined) throw nothingKept(path.id, 'active ritual');
    return { json: activeJson(found) };
  },
});

const clear = agentRoute({
  method: 'delete',
  path: '/rituals/{id}/cache',
  summary: 'Forgets transactions, validators and active ritual in one step; the fragment stays',
  parameters: ofRitual,
  answer: z.strictObject({ cleared: z.literal(true) }),
  codes: unauthorized,
  handle: async ({ path, services }) => {
    await (await services.rituals()).clear(path.id);
    return { json: { cleared: true as const } };
  },
});

const putCursor = agentRoute({
  method: 'put',
  path: '/rituals/scanner-cursor',
  summary: 'Remembers the last block that the event scanner has finished',
  parameters: nothing,
  body: z.strictObject({ block: integer }),
  answer: kept,
  handle: async ({ body, services }) => {
    await (await services.rituals()).storeScannerCursor(body.block);
    return { json: { kept: true as const } };
  },
});

const getCursor = agentRoute({
  method: 'get',
  path: '/rituals/scanner-cursor',
  summary: 'The last block that the event scanner has finished; none before the first',
  parameters: nothing,
  answer: z.strictObject({ block: z.int().optional() }),
  handle: async ({ services }) => {
    const block = await (await services.rituals()).scannerCursor();
    return { json: block === undefined ? {} : { block } };
  },
});

/** The cached state of rituals; the route of the cursor comes before `/rituals/{id}`, which would take it for an id. */
export const ritualStateRoutes: readonly AgentRoute[] = [
  ...[putCursor, getCursor, putPhase, getPhase, clearPhase],
  ...[putValidators, getValidators, putActive, getActive, clear],
];
