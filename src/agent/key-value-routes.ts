import { z } from 'zod';
import { toBase64 } from '../bytes/base64.ts';
import { EvidenceError, LatchkeyError } from '../errors/latchkey-error.ts';
import type { BatchOperation, Namespace, Store } from '../store/api/store-api.ts';
import { base64Bytes, base64Text, flagText, integerText, nothing } from './agent-fields.ts';
import { type AgentRoute, agentRoute } from './agent-route.ts';
import { entityTag, type Precondition, requirePrecondition } from './precondition.ts';

/** Applications see only namespaces of their own; the node's identity is not among them. */
const PREFIX = 'app/';
const MAX_LISTED = 1000;
const MAX_OPERATIONS = 10_000;

// A URL parser removes the parts `.` and `..` of a path, which then names something else.
const namespaceName = z
  .string()
  .max(128)
  // At most two dots and another character, or three dots and anything: not empty, . or .., without a look-ahead.
  .regex(
    /^(?:\.{0,2}[A-Za-z0-9_-]|\.{3})[A-Za-z0-9._-]*$/,
    'must be 1 to 128 of A-Z a-z 0-9 . _ -, not . or ..',
  )
  .meta({ description: '1 to 128 of A-Z a-z 0-9 . _ -, not . or ..' });
const recordName = z
  .string()
  // A character that is no dot, or three dots: not empty, . or ..
  .regex(/[^.]|\.{3}/, 'must not be empty, . or ..')
  .meta({ description: '1 to 4096 bytes of UTF-8, percent-encoded in a path; not . or ..' });
const inNamespace = z.strictObject({ namespace: namespaceName });
const ofRecord = z.strictObject({ namespace: namespaceName, name: recordName });

const range = z.strictObject({
  prefix: z.string().optional().meta({ description: 'only names that start so' }),
  from: z.string().optional().meta({ description: 'first name, inclusive' }),
  before: z.string().optional().meta({ description: 'end, exclusive' }),
  reverse: flagText.optional(),
  limit: integerText(MAX_LISTED).optional(),
});

const operation = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('put'), namespace: namespaceName, name: recordName, value: base64Bytes }),
  z.strictObject({ kind: z.literal('delete'), namespace: namespaceName, name: recordName }),
  z.strictObject({
    kind: z.literal('expect'),
    namespace: namespaceName,
    name: recordName,
    value: base64Bytes.nullable().meta({ description: 'the present value, or null for none' }),
  }),
]);

/** Opens a namespace of either kind that is there. @throws EvidenceError STORE_NAMESPACE_MISSING. */
async function present(store: Store, name: string): Promise<Namespace> {
  const full = PREFIX + name;
  if (!store.hasNamespace(full)) {
    throw new EvidenceError('STORE_NAMESPACE_MISSING', `there is no namespace ${name}`, {
      field: 'namespace',
    });
  }
  return ofEitherKind(store, full);
}

/** Opens a namespace of either kind, and makes a plain one where there is none. */
async function ofEitherKind(store: Store, full: string): Promise<Namespace> {
  try {
    return await store.namespace(full);
  } catch (error) {
    if (!(error instanceof LatchkeyError) || error.code !== 'STORE_NAMESPACE_KIND') throw error;
    return store.namespace(full, { erasable: true });
  }
}

/** Replaces or removes a value if the condition holds, in one step with looking at it. Gives what was there. */
async function change(
  records: Namespace,
  name: string,
  value: Uint8Array | undefined,
  precondition: Precondition,
): Promise<Uint8Array | undefined> {
  if (precondition.kind === 'none') return value ? records.replace(name, value) : records.delete(name);
  // After a lost race the value is read again; each time another writer has succeeded, so the loop ends.
  for (;;) {
    const before = await records.get(name);
    requirePrecondition(precondition, before);
    if (await records.compareAndSet(name, before, value)) return before;
  }
}

const list = agentRoute({
  method: 'get',
  path: '/kv',
  summary: 'Namespaces',
  parameters: nothing,
  answer: z.strictObject({ namespaces: z.array(z.string()) }),
  handle: async ({ services: { store } }) => {
    const own = store.namespaces().filter((name) => name.startsWith(PREFIX));
    return { json: { namespaces: own.map((name) => name.slice(PREFIX.length)) } };
  },
});

const batch = agentRoute({
  method: 'post',
  path: '/kv',
  summary: 'All of these operations or none, in one step; an unmet `expect` refuses them all',
  parameters: nothing,
  body: z.strictObject({ operations: z.array(operation).min(1).max(MAX_OPERATIONS) }),
  answer: z.strictObject({ operations: z.int() }),
  codes: ['STORE_CONFLICT', 'STORE_NAME_INVALID', 'STORE_VALUE_TOO_LARGE', 'STORE_BATCH_TOO_LARGE'],
  handle: async ({ body: { operations }, services: { store } }) => {
    for (const name of new Set(operations.map(({ namespace }) => PREFIX + namespace)))
      await ofEitherKind(store, name);
    await store.batch(operations.map(toBatchOperation));
    return { json: { operations: operations.length } };
  },
});

function toBatchOperation(given: z.output<typeof operation>): BatchOperation {
  const namespace = PREFIX + given.namespace;
  return given.kind === 'expect'
    ? { ...given, namespace, value: given.value ?? undefined }
    : { ...given, namespace };
}

const createNamespace = agentRoute({
  method: 'put',
  path: '/kv/{namespace}',
  summary: 'Makes a namespace; an erasable one has a key of its own. The first write makes a plain one',
  parameters: inNamespace,
  body: z.strictObject({ erasable: z.boolean().default(false) }),
  answer: z.strictObject({ created: z.boolean() }),
  codes: ['STORE_NAMESPACE_KIND'],
  handle: async ({ path, body, services: { store } }) => {
    const full = PREFIX + path.namespace;
    const created = !store.hasNamespace(full);
    await store.namespace(full, body);
    return { json: { created } };
  },
});

const eraseNamespace = agentRoute({
  method: 'delete',
  path: '/kv/{namespace}',
  summary: 'Destroys the key of an erasable namespace, and with it all its records',
  parameters: inNamespace,
  answer: z.strictObject({ erased: z.boolean() }),
  codes: ['STORE_NAMESPACE_KIND'],
  handle: async ({ path, services: { store } }) => ({
    json: { erased: await store.eraseNamespace(PREFIX + path.namespace) },
  }),
});

const names = agentRoute({
  method: 'get',
  path: '/kv/{namespace}',
  summary: `Names in the order of their bytes, at most ${MAX_LISTED}; \`next\` is the \`from\` of what follows`,
  parameters: inNamespace,
  query: range,
  answer: z.strictObject({ names: z.array(z.string()), size: z.int(), next: z.string().optional() }),
  codes: ['STORE_NAMESPACE_MISSING'],
  handle: async ({ path, query, services: { store } }) => {
    const { limit = MAX_LISTED, ...bounds } = query;
    const records = await present(store, path.namespace);
    // One more than asked for tells whether anything follows.
    const found = [...records.names({ ...definedOnly(bounds), limit: limit + 1 })];
    const next = found[limit];
    // Backwards there is no `from` that excludes what came: `before` the last name does.
    const more = next === undefined || query.reverse === true ? {} : { next };
    return { json: { names: found.slice(0, limit), size: records.size, ...more } };
  },
});

/** Leaves out members without a value, which exact optional types refuse. */
function definedOnly<T extends object>(given: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  // Only members with a value are left, which fromEntries cannot say.
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

const read = agentRoute({
  method: 'get',
  path: '/kv/{namespace}/{name}',
  summary: 'A value; ETag is its entity tag',
  parameters: ofRecord,
  answer: z.strictObject({ value: base64Text }),
  codes: ['STORE_NAME_MISSING', 'STORE_NAME_INVALID', 'STORE_NAMESPACE_MISSING'],
  handle: async ({ path: { namespace, name }, services: { store } }) => {
    const value = await (await present(store, namespace)).get(name);
    if (value === undefined) throw recordMissing(name);
    return { json: { value: toBase64(value) }, etag: entityTag(value) };
  },
});

const write = agentRoute({
  method: 'put',
  path: '/kv/{namespace}/{name}',
  summary: 'Sets a value; with If-Match or If-None-Match only if the present one is as expected',
  parameters: ofRecord,
  body: z.strictObject({ value: base64Bytes }),
  answer: z.strictObject({ replaced: z.boolean() }),
  conditional: true,
  codes: ['STORE_NAME_INVALID', 'STORE_VALUE_TOO_LARGE', 'PRECONDITION_FAILED'],
  handle: async ({ path: { namespace, name }, body: { value }, precondition, services: { store } }) => {
    const records = await ofEitherKind(store, PREFIX + namespace);
    const before = await change(records, name, value, precondition);
    return { json: { replaced: before !== undefined }, etag: entityTag(value) };
  },
});

const remove = agentRoute({
  method: 'delete',
  path: '/kv/{namespace}/{name}',
  summary: 'Removes a value; with If-Match only if the present one is as expected',
  parameters: ofRecord,
  answer: z.strictObject({ deleted: z.boolean() }),
  conditional: true,
  codes: ['STORE_NAME_INVALID', 'STORE_NAMESPACE_MISSING', 'PRECONDITION_FAILED'],
  handle: async ({ path: { namespace, name }, precondition, services: { store } }) => {
    const records = await present(store, namespace);
    const before = await change(records, name, undefined, precondition);
    return { json: { deleted: before !== undefined } };
  },
});

/** Key-value storage for the programs of this machine. An answer to a write means that it is on the disk. */
export const keyValueRoutes: readonly AgentRoute[] = [
  ...[list, batch, createNamespace, eraseNamespace],
  ...[names, read, write, remove],
];

const recordMissing = (name: string): EvidenceError =>
  new EvidenceError('STORE_NAME_MISSING', `there is no record ${name.slice(0, 80)}`, { field: 'name' });
