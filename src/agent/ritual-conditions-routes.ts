import { z } from 'zod';
import { EvidenceError } from '../errors/latchkey-error.ts';
import type { Conditions } from '../rituals/conditions.ts';
import { integer, integerText } from './agent-fields.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';

const ofRitual = z.strictObject({ id: integerText() });
const conditions = z.strictObject({
  authorized: z.boolean().optional().meta({ description: 'false: everything is refused with 403' }),
  paid: z.boolean().optional().meta({ description: 'false: storing and retrieving are refused with 402' }),
  expiresAt: integer
    .optional()
    .meta({ description: 'unix time in seconds from which storing and retrieving are refused with 410' }),
});

/** Absent members are absent, not undefined. */
const present = ({ authorized, paid, expiresAt }: z.output<typeof conditions>): Conditions => ({
  ...(authorized === undefined ? {} : { authorized }),
  ...(paid === undefined ? {} : { paid }),
  ...(expiresAt === undefined ? {} : { expiresAt }),
});

const put = agentRoute({
  method: 'put',
  path: '/rituals/{id}/conditions',
  summary: 'Replaces the conditions under which a ritual may be used, also before its fragment is stored',
  parameters: ofRitual,
  body: conditions,
  answer: z.strictObject({ kept: z.literal(true) }),
  handle: async ({ path, body, services }) => {
    await (await services.conditions()).set(path.id, present(body));
    return { json: { kept: true as const } };
  },
});

const get = agentRoute({
  method: 'get',
  path: '/rituals/{id}/conditions',
  summary: 'The conditions of a ritual',
  parameters: ofRitual,
  answer: conditions,
  codes: ['RITUAL_ENTRY_NOT_FOUND'],
  handle: async ({ path, services }) => {
    const found = await (await services.conditions()).get(path.id);
    if (found !== undefined) return { json: present(found) };
    throw new EvidenceError('RITUAL_ENTRY_NOT_FOUND', `ritual ${path.id} has no conditions`, {
      field: 'conditions',
    });
  },
});

const remove = agentRoute({
  method: 'delete',
  path: '/rituals/{id}/conditions',
  summary: 'Removes the conditions: the ritual may be used',
  parameters: ofRitual,
  answer: z.strictObject({ deleted: z.boolean() }),
  handle: async ({ path, services }) => ({
    json: { deleted: await (await services.conditions()).remove(path.id) },
  }),
});

/** Authorization, payment and expiry of rituals as stored data; every other route of a ritual applies them. */
export const ritualConditionsRoutes: readonly AgentRoute[] = [put, get, remove];
