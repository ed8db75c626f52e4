import { z } from 'zod';
import { tryFromBase64 } from '../../bytes/base64.ts';

/** etcd's JSON gateway writes 64-bit integers as text, and leaves out what is zero, false or empty. */
const integer = z
  .string()
  .regex(/^[0-9]{1,16}$/)
  .transform(Number)
  .refine(Number.isSafeInteger, 'must be at most 2^53 - 1')
  .default(0);
const name = z
  .string()
  .transform((text, context) => {
    const decoded = tryFromBase64(text);
    if (decoded === undefined) context.addIssue({ code: 'custom', message: 'must be base64' });
    return new TextDecoder().decode(decoded);
  })
  .default('');
const header = z.object({ cluster_id: z.string().regex(/^[0-9]{1,20}$/), revision: integer });

const keyValue = z.object({
  key: name,
  /** Base64, checked by the reader: most events of a watch are of keys without waiters. */
  value: z.string().default(''),
  mod_revision: integer,
});

const range = z.object({ kvs: z.array(keyValue).default([]), count: integer });

/** Of /v3/kv/range. */
export const rangeAnswer = range.extend({ header });

/** Of /v3/kv/txn. */
export const txnAnswer = z.object({
  header,
  succeeded: z.boolean().default(false),
  responses: z.array(z.object({ response_range: range.optional() })).default([]),
});

/** Of /v3/lease/grant. */
export const leaseAnswer = z.object({ header, ID: z.string().regex(/^[0-9]{1,19}$/) });

/** Of /v3/auth/authenticate. */
export const authenticateAnswer = z.object({
  header,
  token: z
    .string()
    .regex(/^[\x21-\x7e]+$/)
    .max(4096),
});

/** One line of /v3/watch. */
export const watchAnswer = z.object({
  result: z.object({
    header,
    created: z.boolean().default(false),
    canceled: z.boolean().default(false),
    cancel_reason: z.string().default(''),
    compact_revision: integer,
    /** More events of the same revision follow. */
    fragment: z.boolean().default(false),
    events: z.array(z.object({ type: z.enum(['PUT', 'DELETE']).default('PUT'), kv: keyValue })).default([]),
  }),
});

/** An answer with an error status; the code is gRPC's. */
export const errorAnswer = z.object({ code: z.int(), message: z.string() });

/** An error within a stream. */
export const streamErrorAnswer = z.object({
  error: z.object({ grpc_code: z.int().optional(), code: z.int().optional(), message: z.string() }),
});

/** A key with its value. */
export type EtcdKeyValue = z.infer<typeof keyValue>;
export type EtcdRange = z.infer<typeof range>;
export type WatchResult = z.infer<typeof watchAnswer>['result'];

/** What an answer of any kind has. */
export interface EtcdHeader {
  readonly header: { readonly cluster_id: string; readonly revision: number };
}
