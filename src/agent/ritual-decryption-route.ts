import { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import { base64Text, integerText } from './agent-fields.ts';
import { agentRoute } from './agent-route.ts';
import { activeJson, activeOf, validatorsJson, validatorsOf } from './ritual-state-routes.ts';

/** Threshold decryption: the share itself is made by the program that asks, with the DKG's own library. */
export const ritualDecryptionRoute = agentRoute({
  method: 'post',
  path: '/rituals/{id}/decryption',
  summary:
    'For a share of a threshold decryption: the fragment, the active ritual and its validators, if the conditions of the ritual and its end allow it',
  parameters: z.strictObject({ id: integerText() }),
  body: z.strictObject({
    validator: z
      .string()
      .min(1)
      .max(1024)
      .meta({ description: "the node's own address, exactly as it was stored" }),
  }),
  answer: z.strictObject({
    id: z.int(),
    timestamp: z.int().meta({ description: 'unix time in seconds' }),
    fragment: base64Text,
    ritual: activeOf(base64Text),
    ...validatorsOf(base64Text).shape,
    position: z.int().min(0).meta({ description: 'where the validator stands among them, from 0' }),
  }),
  codes: [
    ...(['RITUAL_NOT_FOUND', 'RITUAL_NOT_ACTIVE', 'RITUAL_NOT_PARTICIPANT'] as const),
    ...(['RITUAL_UNAUTHORIZED', 'RITUAL_EXPIRED', 'RITUAL_UNPAID'] as const),
  ],
  handle: async ({ path: { id }, body: { validator }, services }) => {
    const rituals = await services.rituals();
    const found = await rituals.decryptionInputs(id, validator, services.nowSeconds());
    const { timestamp, fragment, ritual, validators, position } = found;
    return {
      json: {
        ...{ id, timestamp, fragment: toBase64(fragment) },
        ...{ ritual: activeJson(ritual), validators: validatorsJson(validators), position },
      },
    };
  },
});
