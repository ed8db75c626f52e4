import { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import type { ListOptions } from '../rituals/datastore.ts';
import { base64Bytes, base64Text, flagText, integer, integerText, nothing } from './agent-fields.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';
import type { AgentServices } from './agent-services.ts';

const MAX_LISTED = 1000;
const refusals = ['RITUAL_UNAUTHORIZED', 'RITUAL_EXPIRED', 'RITUAL_UNPAID'] as const;
const unixTime = 'unix time in seconds';

const ofRitual = z.strictObject({ id: integerText() });
const reference = z.strictObject({ id: z.int(), timestamp: z.int().meta({ description: unixTime }) });
const references = z.strictObject({
  rituals: z.array(reference),
  next: z.string().optional().meta({ description: 'the `after` of what follows; absent at the end' }),
});
const bounds = {
  reverse: flagText.optional(),
  limit: integerText(MAX_LISTED).default(MAX_LISTED),
  after: z
    .string()
    .regex(/^[0-9]{1,15}\/[0-9]{1,15}$/, 'must be timestamp/id')
    .optional()
    .meta({ description: 'timestamp/id of the last one that came: only what follows it' }),
};

/** One page of a list, and where the next one begins. */
async function page(
  services: AgentServices,
  {
    after,
    limit,
    ...options
  }: Omit<ListOptions, 'after'> & { readonly limit: number; readonly after?: string | undefined },
): Promise<{ readonly json: z.input<typeof references> }> {
  const [timestamp, id] = after?.split('/').map(Number) ?? [];
  const last = timestamp === undefined || id === undefined ? {} : { after: { timestamp, id } };
  // One more than asked for tells whether anything follows.
  const found = await (await services.rituals()).list({ ...options, ...last, limit: limit + 1 });
  const rituals = found.slice(0, limit);
  const end = found.length > limit ? rituals.at(-1) : undefined;
  return { json: { rituals, ...(end === undefined ? {} : { next: `${end.timestamp}/${end.id}` }) } };
}

const list = agentRoute({
  method: 'get',
  path: '/rituals',
  summary: 'Rituals by time, then by id, without their fragments',
  parameters: nothing,
  query: z.strictObject({
    from: integerText()
      .optional()
      .meta({ description: `${unixTime}, inclusive` }),
    until: integerText()
      .optional()
      .meta({ description: `${unixTime}, inclusive` }),
    ...bounds,
  }),
  answer: references,
  handle: ({ query: { from = 0, until, reverse = false, limit, after }, services }) =>
    page(services, { from, reverse, limit, after, ...(until === undefined ? {} : { until }) }),
});

const expired = agentRoute({
  method: 'get',
  path: '/rituals/expired',
  summary: 'Rituals whose time is the cutoff or earlier, oldest first',
  parameters: nothing,
  query: z.strictObject({
    cutoff: integerText().meta({ description: unixTime }),
    limit: bounds.limit,
    after: bounds.after,
  }),
  answer: references,
  handle: ({ query: { cutoff, limit, after }, services }) => page(services, { until: cutoff, limit, after }),
});

const store = agentRoute({
  method: 'put',
  path: '/rituals/{id}',
  summary: 'Stores a fragment once: the same again writes nothing, another one is a conflict',
  parameters: ofRitual,
  body: z.strictObject({ timestamp: integer.meta({ description: unixTime }), fragment: base64Bytes }),
  answer: z.strictObject({ written: z.boolean() }),
  codes: ['RITUAL_CONFLICT', 'STORE_VALUE_TOO_LARGE', ...refusals],
  handle: async ({ path: { id }, body: { timestamp, fragment }, services }) => {
    const rituals = await services.rituals();
    return { json: { written: await rituals.storeFragment(id, timestamp, fragment) } };
  },
});

const retrieve = agentRoute({
  method: 'get',
  path: '/rituals/{id}',
  summary: 'The fragment of a ritual',
  parameters: ofRitual,
  answer: reference.extend({ fragment: base64Text }),
  codes: ['RITUAL_NOT_FOUND', ...refusals],
  handle: async ({ path: { id }, services }) => {
    const { timestamp, fragment } = await (await services.rituals()).retrieveFragment(id);
    return { json: { id, timestamp, fragment: toBase64(fragment) } };
  },
});

const revoke = agentRoute({
  method: 'delete',
  path: '/rituals/{id}',
  summary: 'Revokes a fragment: destroys the key under which it lies on the disk',
  parameters: ofRitual,
  answer: z.strictObject({ deleted: z.literal(true) }),
  codes: ['RITUAL_NOT_FOUND', 'RITUAL_UNAUTHORIZED'],
  handle: async ({ path: { id }, services }) => {
    await (await services.rituals()).deleteFragment(id);
    return { json: { deleted: true as const } };
  },
});

/** Ritual fragments; `/rituals/expired` comes before `/rituals/{id}`, which would treat it as an id. */
export const ritualRoutes: readonly AgentRoute[] = [list, expired, store, retrieve, revoke];
