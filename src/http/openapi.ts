import { z } from 'zod';
import { type ErrorCode, errorCodes } from '../errors/codes.ts';
import { manifestList } from '../fleet/manifest-file.ts';
import { ringOpenAnswer, ringOpenBody } from '../protocol/channel-opening.ts';
import {
  attestationAnswer,
  challengeAnswer,
  challengeBody,
  keyAnswer,
  keyRequestBody,
  newsAnswer,
} from '../protocol/decode.ts';
import { PROTOCOL_VERSION } from '../protocol/labels.ts';
import { lineageStatusBody, lineageUpdateBody } from '../protocol/lineage-messages.ts';
import {
  claimBody,
  forgetAnswer,
  forgetBody,
  keyStatusBody,
  reserveBody,
  serverStateAnswer,
} from '../protocol/slot-messages.ts';
import { sealedBody } from '../secrets/service/secret-service.ts';
import { entropyDescriptions } from './entropy-openapi.ts';
import {
  acceptsAnswer,
  infoAnswer,
  okAnswer,
  problemAnswer,
  readyzAnswer,
  serverDrainingBody,
  serverRestartedBody,
} from './node-bodies.ts';
import { quotedCodes, type RouteDescription } from './route-description.ts';

const everywhere: readonly ErrorCode[] = ['RATE_LIMITED', 'REQUEST_TIMEOUT', 'INTERNAL'];
const withBody: readonly ErrorCode[] = [
  'FIELD_INVALID',
  'BODY_NOT_JSON',
  'BODY_INCOMPLETE',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
];
const slotCodes: readonly ErrorCode[] = ['KEY_UNKNOWN', 'TIMESTAMP_STALE', 'NODE_LOCKED'];
const lineageCodes: readonly ErrorCode[] = ['LINEAGE_UNKNOWN', 'TIMESTAMP_STALE', 'NODE_LOCKED'];
const ringCodes: readonly ErrorCode[] = ['RING_OFF', 'RING_NOT_MEMBER', 'NODE_LOCKED'];
const linkCodes = ['LINEAGE_OTHER', 'SLOT_UNLINKED', 'PLATFORM_LIMIT', 'VAULT_FULL'] as const;
const keyRequestCodes: readonly ErrorCode[] = [
  ...(['HPKE_PUBLIC_KEY_INVALID', 'CHALLENGE_MISSING', 'SERVER_NOT_ADDRESSED'] as const),
  ...(['CHALLENGE_INVALID', 'CHALLENGE_EXPIRED', 'REPORT_DATA_MISMATCH'] as const),
  ...(['RECOVERY_PROOF_REQUIRED', 'RECOVERY_PROOF_WRONG', 'KEY_EXISTS', 'SLOT_UNLINKED'] as const),
  ...(['VAULT_FULL', 'SERVER_DRAINING', 'AUDIT_REQUIRED'] as const),
  ...quotedCodes,
];

const secretSummaries = {
  deploy: "Leaves a user's secret with its holders",
  update: "Replaces a user's secret",
  delete: "Deletes a user's secret",
  request: 'Has a request made with a secret, to an upstream service',
  list: 'Secrets of the user at this node, without values, and who holds which ids',
};
/** Sealed both ways: everything after the seal is told under it, with status 200 (docs/secrets.md). */
const secretRoutes: readonly RouteDescription[] = Object.entries(secretSummaries).map(([route, summary]) => ({
  method: 'post',
  path: `/secrets/${route}`,
  summary,
  body: sealedBody,
  answer: sealedBody,
  codes: ['SECRET_SEALING_WRONG', 'HPKE_PUBLIC_KEY_INVALID', 'NODE_LOCKED', 'RING_OFF'],
}));

const routes: readonly RouteDescription[] = [
  {
    method: 'post',
    path: '/challenge',
    summary: 'A nonce for one account and one ephemeral key, good for 60 seconds',
    body: challengeBody,
    answer: challengeAnswer,
    codes: ['HPKE_PUBLIC_KEY_INVALID', 'NODE_LOCKED'],
  },
  {
    method: 'post',
    path: '/request-encryption-key',
    summary: 'A server key, sealed by HPKE to the ephemeral key that the TDX quote binds',
    body: keyRequestBody,
    answer: keyAnswer,
    codes: keyRequestCodes,
  },
  {
    method: 'post',
    path: '/key-status',
    summary: 'Both sides prove that they hold a server key; links and confirms it, deposits a log head',
    body: keyStatusBody,
    answer: serverStateAnswer,
    codes: [...slotCodes, ...linkCodes],
  },
  {
    method: 'post',
    path: '/reserve',
    summary: 'Reserves a number for a boot of a node, before the boot shows itself',
    body: reserveBody,
    answer: serverStateAnswer,
    codes: slotCodes,
  },
  {
    method: 'post',
    path: '/claim',
    summary: 'Shows which boot of a node holds its store',
    body: claimBody,
    answer: serverStateAnswer,
    codes: slotCodes,
  },
  {
    method: 'post',
    path: '/forget',
    summary: 'Erases a server key, unless a newer boot of the node needs it',
    body: forgetBody,
    answer: forgetAnswer,
    codes: slotCodes,
  },
  {
    method: 'post',
    path: '/lineage-status',
    summary: 'Shows what the server knows of a store, also when no key of it is here; changes nothing',
    body: lineageStatusBody,
    answer: serverStateAnswer,
    codes: lineageCodes,
  },
  {
    method: 'post',
    path: '/lineage-update',
    summary:
      'Shows a boot, deposits a log head and erases keys of a store; closes it when its key has changed',
    body: lineageUpdateBody,
    answer: serverStateAnswer,
    codes: lineageCodes,
  },
  {
    method: 'get',
    path: '/attestation',
    summary: "The server's own TDX quote over account, key, instance and a finalized block",
    answer: attestationAnswer,
    codes: ['NODE_LOCKED', 'QUOTE_SOURCE_UNAVAILABLE', 'QUOTE_SOURCE_FAILED'],
  },
  {
    method: 'post',
    path: '/server-restarted',
    summary: "A hint to a client that a server's memory is gone",
    body: serverRestartedBody,
    answer: newsAnswer,
    codes: ['SERVER_UNREGISTERED'],
  },
  {
    method: 'post',
    path: '/server-draining',
    summary: 'A hint to a client that a server is to be stopped for good',
    body: serverDrainingBody,
    answer: newsAnswer,
    codes: ['SERVER_UNREGISTERED'],
  },
  {
    method: 'get',
    path: '/fleet',
    summary: 'The signed fleet manifests of this node; none when `known` names what this node has',
    answer: manifestList,
  },
  {
    method: 'get',
    path: '/accepts',
    summary: 'Whether this node would give keys under a trust section, and to an image',
    query: [
      { name: 'trustHash', description: 'of the trust section, 48 bytes as 0x hex', required: false },
      { name: 'measurement', description: 'id of the image, 32 bytes as 0x hex', required: false },
    ],
    answer: acceptsAnswer,
    codes: ['FIELD_INVALID', 'NODE_LOCKED'],
  },
  {
    method: 'post',
    path: '/ring/open',
    summary: 'Opens a channel between two attested members of the ring (docs/ring.md)',
    body: ringOpenBody,
    answer: ringOpenAnswer,
    codes: [...ringCodes, 'CHANNEL_PEER_UNPROVEN', 'CHANNEL_HANDSHAKE_INVALID', 'CHANNEL_PEER_REFUSED'],
  },
  {
    method: 'post',
    path: '/ring/message/{session}',
    summary: 'A message of an open channel, and its answer',
    bodyBytes: 'application/octet-stream',
    bytes: 'application/octet-stream',
    codes: [
      ...ringCodes,
      ...(['CHANNEL_SESSION_UNKNOWN', 'CHANNEL_MESSAGE_INVALID', 'CHANNEL_MESSAGE_REPLAYED'] as const),
      ...(['CHANNEL_EXHAUSTED', 'RING_BUSY'] as const),
      ...(['BODY_INCOMPLETE', 'BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const),
    ],
  },
  ...secretRoutes,
  { method: 'get', path: '/info', summary: 'Who the node is', answer: infoAnswer },
  { method: 'get', path: '/healthz', summary: 'The process runs', answer: okAnswer },
  {
    method: 'get',
    path: '/readyz',
    summary: '200 when the node is backed; 503 with the reasons',
    answer: readyzAnswer,
  },
];

/** JSON Schema 2020-12, as OpenAPI 3.1 embeds it. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io });
  return rest;
}

const json = (schema: Record<string, unknown>) => ({ 'application/json': { schema } });

function errorResponses({ body, codes = [] }: RouteDescription): Record<string, unknown> {
  const all = [...(body === undefined ? [] : withBody), ...codes, ...everywhere];
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of all) {
    const { status } = errorCodes[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, names]) => [`${status}`, { description: names.join(', '), content }]),
  );
}

/** Content of a good answer; `undefined` where it is empty. */
function contentOf({ answer, bytes }: RouteDescription): Record<string, unknown> | undefined {
  if (answer !== undefined) return json(schemaOf(answer, 'output'));
  return bytes === undefined ? undefined : { [bytes]: {} };
}

function operation(route: RouteDescription): Record<string, unknown> {
  const content = contentOf(route);
  const responses: Record<string, unknown> = {
    200: { description: 'OK', ...(content === undefined ? {} : { content }) },
    ...errorResponses(route),
    ...(route.path === '/readyz' ? { 503: { description: 'not ready', content } } : {}),
  };
  const body =
    route.body === undefined
      ? route.bodyBytes && { [route.bodyBytes]: {} }
      : json(schemaOf(route.body, 'input'));
  const requestBody = body === undefined ? {} : { requestBody: { required: true, content: body } };
  const named = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path' }));
  const asked = (route.query ?? []).map((parameter) => ({ ...parameter, in: 'query' }));
  const parameters = [...named, ...asked].map((parameter) => ({
    required: true,
    schema: { type: 'string' },
    ...parameter,
  }));
  return {
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBody,
    responses,
  };
}

const made = new Map<boolean, Record<string, unknown>>();

/**
 * The OpenAPI 3.1 document of the open port, from the schemas that the routes use; committed as openapi.json.
 * @param shown whether the routes of entropy-tss are listed; committed as openapi-entropy.json.
 */
export function openApiDocument({ entropy }: { readonly entropy: boolean }): Record<string, unknown> {
  const document = made.get(entropy) ?? describe(entropy ? [...routes, ...entropyDescriptions] : routes);
  made.set(entropy, document);
  return document;
}

const describe = (listed: readonly RouteDescription[]): Record<string, unknown> => ({
  openapi: '3.1.0',
  info: {
    title: 'Latchkey',
    version: `${PROTOCOL_VERSION}`,
    description: 'Key server protocol. docs/protocol.md fixes every byte that these schemas cannot.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: Object.fromEntries(listed.map((route) => [route.path, { [route.method]: operation(route) }])),
  components: { schemas: { Problem: schemaOf(problemAnswer, 'output') } },
});
