import { z } from 'zod';
import { type ErrorCode, errorCodes } from '../errors/codes.ts';
import { problemAnswer } from '../http/node-bodies.ts';
import type { AgentRoute } from './agent-route.ts';
import { agentRoutes } from './agent-routes.ts';
import { auditHeadsAnswer, auditHeadsSummary, auditSummary } from './audit-routes.ts';
import {
  custodyAnswersAnswer,
  custodyAnswersBody,
  custodyRequestAnswer,
  custodyRequestBody,
  custodySummaries,
} from './custody-routes.ts';
import { drainAnswer, drainSummaries } from './drain-routes.ts';
import { fleetPublishAnswer, fleetPublishBody, fleetPublishSummary } from './fleet-routes.ts';
import { rollbackAnswer, rollbackSummaries } from './rollback-routes.ts';
import { rotationAnswer, rotationSummaries } from './rotation-routes.ts';
import { transitRoutes } from './transit-routes.ts';

const everywhere: readonly ErrorCode[] = ['FIELD_INVALID', 'NODE_LOCKED', 'REQUEST_TIMEOUT', 'INTERNAL'];
const withBody: readonly ErrorCode[] = ['BODY_NOT_JSON', 'BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'];
const whenWriting: readonly ErrorCode[] = [
  ...(['NODE_FENCED', 'NODE_UNCLAIMED', 'WRITE_UNCERTAIN'] as const),
  ...(['STORE_OVERLOADED', 'STORE_DISK_FULL'] as const),
  ...(['STORE_DISK_READ_ONLY', 'STORE_WRITE_FAILED'] as const),
];

const agentProblem = problemAnswer.extend({
  errors: z
    .array(z.string())
    .optional()
    .meta({ description: 'code and detail again, in refusals of `/v1/transit`' }),
});

/** JSON Schema 2020-12, as OpenAPI 3.1 embeds it. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12', io });
  return rest;
}

const json = (schema: Record<string, unknown>) => ({ 'application/json': { schema } });

const contentOf = (answer: AgentRoute['answer']) =>
  answer === 'bytes' ? { 'application/octet-stream': {} } : json(schemaOf(answer, 'output'));

function parametersOf({ parameters, query, conditional }: AgentRoute): readonly unknown[] {
  const named = (schemas: z.ZodObject, where: 'path' | 'query') => {
    const { properties = {}, required = [] } = z.toJSONSchema(schemas, { io: 'input' });
    return Object.entries(properties).map(([name, schema]) => ({
      name,
      in: where,
      required: required.includes(name),
      schema,
    }));
  };
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  });
  return [
    ...named(parameters, 'path'),
    ...(query === undefined ? [] : named(query, 'query')),
    ...(conditional
      ? [
          header('If-Match', '`*` or the entity tag of the present value, in double quotes'),
          header('If-None-Match', '`*`: only where there is no value'),
        ]
      : []),
  ];
}

function errorResponses({ method, body, codes }: AgentRoute): Record<string, unknown> {
  const all = [
    ...everywhere,
    ...(body === undefined ? [] : withBody),
    ...(method === 'get' ? [] : whenWriting),
    ...codes,
  ];
  return errorsOf(all);
}

function errorsOf(codes: readonly ErrorCode[]): Record<string, unknown> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = errorCodes[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [`${status}`, { description: names.join(', '), content }]),
  );
}

function operation(route: AgentRoute): Record<string, unknown> {
  const parameters = parametersOf(route);
  return {
    tags: [route.path.replace(/^\/v1/, '').split('/')[1]],
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: json(schemaOf(route.body, 'input')) } }),
    responses: {
      200: { description: 'OK', content: contentOf(route.answer) },
      ...errorResponses(route),
    },
  };
}

/** Operations of the node itself, not of its store. */
function nodeOperations(
  tag: string,
  summaries: Readonly<Record<string, string>>,
  answer: z.ZodType,
  refusals: readonly ErrorCode[] = [],
): Record<string, unknown> {
  const responses = {
    200: { description: 'OK', content: json(schemaOf(answer, 'output')) },
    ...errorsOf([...refusals, 'NODE_LOCKED', 'REQUEST_TIMEOUT', 'INTERNAL']),
  };
  return Object.fromEntries(
    Object.entries(summaries).map(([method, summary]) => [method, { tags: [tag], summary, responses }]),
  );
}

/** The operation that takes manifests. */
const manifestsOperation = (): Record<string, unknown> => ({
  put: {
    tags: ['fleet'],
    summary: fleetPublishSummary,
    requestBody: { required: true, content: json(schemaOf(fleetPublishBody, 'input')) },
    responses: {
      200: { description: 'OK', content: json(schemaOf(fleetPublishAnswer, 'output')) },
      ...errorsOf([
        ...withBody,
        'FLEET_FILE_MALFORMED',
        'CHAIN_UNAVAILABLE',
        'FLEET_OFF',
        'REQUEST_TIMEOUT',
        'INTERNAL',
      ]),
    },
  },
});

/** An operation of a locked node. */
const custodyOperation = (summary: string, body: z.ZodType, answer: z.ZodType): Record<string, unknown> => ({
  put: {
    tags: ['custody'],
    summary,
    requestBody: { required: true, content: json(schemaOf(body, 'input')) },
    responses: {
      200: { description: 'OK', content: json(schemaOf(answer, 'output')) },
      ...errorsOf([
        ...withBody,
        'CUSTODY_ABSENT',
        'CUSTODY_NOT_NEEDED',
        'CUSTODY_REQUEST_UNKNOWN',
        'KEYSLOT_FILE_MALFORMED',
        'QUOTE_SOURCE_UNAVAILABLE',
        'NODE_LOCKED',
        'REQUEST_TIMEOUT',
        'INTERNAL',
      ]),
    },
  },
});

const plain = (summary: string): Record<string, unknown> => ({
  get: { summary, responses: { 200: { description: 'OK', content: json({ type: 'object' }) } } },
});

function paths(): Record<string, Record<string, unknown>> {
  const found: Record<string, Record<string, unknown>> = {
    '/status': plain('State, servers and slots of the node; answers also while the store is locked'),
    '/openapi.json': plain('This document'),
    '/audit': {
      get: {
        tags: ['audit'],
        summary: auditSummary,
        responses: {
          200: { description: 'OK', content: { 'application/x-ndjson': {} } },
          ...errorsOf(['NODE_LOCKED', 'REQUEST_TIMEOUT', 'INTERNAL']),
        },
      },
    },
    '/audit/heads': nodeOperations('audit', { get: auditHeadsSummary }, auditHeadsAnswer),
    '/drain': nodeOperations('drain', drainSummaries, drainAnswer),
    '/rotation': nodeOperations('rotation', rotationSummaries, rotationAnswer),
    '/manifests': manifestsOperation(),
    '/rollback/acceptance': nodeOperations('rollback', rollbackSummaries, rollbackAnswer, [
      'ROLLBACK_NOT_REFUSED',
    ]),
    '/custody/request': custodyOperation(custodySummaries.request, custodyRequestBody, custodyRequestAnswer),
    '/custody/answers': custodyOperation(custodySummaries.answers, custodyAnswersBody, custodyAnswersAnswer),
  };
  for (const route of [...agentRoutes, ...transitRoutes])
    found[route.path] = { ...found[route.path], [route.method]: operation(route) };
  return found;
}

let made: Record<string, unknown> | undefined;

/** The OpenAPI 3.1 document of the agent, from the schemas that its routes use; committed as openapi-agent.json. */
export function agentOpenApi(): Record<string, unknown> {
  made ??= {
    openapi: '3.1.0',
    info: {
      title: 'Latchkey agent',
      version: '1',
      description:
        'Local API on the Unix socket of `latchkey serve`. An answer to a write means that it is on the disk. While the store is locked every operation but those without NODE_LOCKED answers 503 with the state of the node.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: paths(),
    components: { schemas: { Problem: schemaOf(agentProblem, 'output') } },
  };
  return made;
}
