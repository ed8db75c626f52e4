import { z } from 'zod';
import { type ErrorCode, errorCodes } from '../errors/codes.ts';
import { manifestList } from '../fleet/manifest-file.ts';
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
import {
  infoAnswer,
  okAnswer,
  problemAnswer,
  readyzAnswer,
  serverDrainingBody,
  serverRestartedBody,
} from './node-bodies.ts';

/** One route of the open port, as it is described to tools. */
interface RouteDescription {
  readonly method: 'get' | 'post';
  readonly path: string;
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly answer: z.ZodType;
  /** Codes that this route adds to those of every route. */
  readonly codes?: readonly ErrorCode[];
}

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
const linkCodes = ['LINEAGE_OTHER', 'SLOT_UNLINKED', 'PLATFORM_LIMIT', 'VAULT_FULL'] as const;
const keyRequestCodes: readonly ErrorCode[] = [
  ...(['HPKE_PUBLIC_KEY_INVALID', 'SERVER_NOT_ADDRESSED', 'CHALLENGE_INVALID', 'CHALLENGE_EXPIRED'] as const),
  ...(['REPORT_DATA_MISMATCH', 'RECOVERY_PROOF_REQUIRED', 'RECOVERY_PROOF_WRONG'] as const),
  ...(['TD_DEBUG', 'TD_ATTRIBUTES_REFUSED', 'XFAM_REFUSED', 'SERVICE_TD_REFUSED'] as const),
  ...(['TCB_REVOKED', 'TCB_STATUS_REFUSED', 'ADVISORY_REFUSED', 'MEASUREMENT_REFUSED'] as const),
  ...(['TRUST_SECTION_REFUSED', 'ACCOUNT_DEREGISTERED', 'PLATFORM_REFUSED', 'PLATFORM_LIMIT'] as const),
  ...(['KEY_UNKNOWN', 'KEY_EXISTS', 'SLOT_UNLINKED', 'VAULT_FULL'] as const),
  ...(['NODE_LOCKED', 'SERVER_DRAINING', 'COLLATERAL_UNAVAILABLE', 'CHAIN_UNAVAILABLE'] as const),
  // Bad quotes: every code of the verifier with status 422.
  ...Object.keys(errorCodes).filter(isBadEvidence),
];

/** Object.keys forgets the type of the keys, which is ErrorCode. */
function isBadEvidence(code: string): code is ErrorCode {
  return code in errorCodes && errorCodes[code as ErrorCode].status === 422;
}

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
  },
  {
    method: 'post',
    path: '/server-draining',
    summary: 'A hint to a client that a server is to be stopped for good',
    body: serverDrainingBody,
    answer: newsAnswer,
  },
  {
    method: 'get',
    path: '/fleet',
    summary: 'The signed fleet manifests of this node; none when `known` names what this node has',
    answer: manifestList,
  },
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

function operation(route: RouteDescription): Record<string, unknown> {
  const answer = json(schemaOf(route.answer, 'output'));
  const responses: Record<string, unknown> = {
    200: { description: 'OK', content: answer },
    ...errorResponses(route),
    ...(route.path === '/readyz' ? { 503: { description: 'not ready', content: answer } } : {}),
  };
  const requestBody =
    route.body === undefined
      ? {}
      : { requestBody: { required: true, content: json(schemaOf(route.body, 'input')) } };
  return { summary: route.summary, ...requestBody, responses };
}

let made: Record<string, unknown> | undefined;

/** The OpenAPI 3.1 document of the open port, from the schemas that the routes use; committed as openapi.json. */
export function openApiDocument(): Record<string, unknown> {
  made ??= {
    openapi: '3.1.0',
    info: {
      title: 'Latchkey',
      version: `${PROTOCOL_VERSION}`,
      description: 'Key server protocol. docs/protocol.md fixes every byte that these schemas cannot.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: Object.fromEntries(routes.map((route) => [route.path, { [route.method]: operation(route) }])),
    components: { schemas: { Problem: schemaOf(problemAnswer, 'output') } },
  };
  return made;
}
