import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { agentOpenApi } from '../../../src/agent/agent-openapi.ts';
import { agentRoutes } from '../../../src/agent/agent-routes.ts';
import { AgentWorld } from './agent-fixture.ts';

const committed = new URL('../../../openapi-agent.json', import.meta.url);

describe('openapi-agent.json', () => {
  it('equals the document made from the schemas (npx tsx scripts/generate-docs.ts)', () => {
    expect(readFileSync(committed, 'utf8')).toBe(`${JSON.stringify(agentOpenApi(), null, 2)}\n`);
  });

  it('equals the document that the agent serves', async () => {
    expect((await new AgentWorld().send('GET', '/openapi.json')).json).toEqual(
      JSON.parse(readFileSync(committed, 'utf8')),
    );
  });

  it('describes every route of the app, and no other', () => {
    const { paths } = agentOpenApi() as { paths: Record<string, Record<string, unknown>> };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    const served = new AgentWorld().app.routes
      .filter(({ method }) => method !== 'ALL')
      .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect(described.sort()).toEqual([...new Set(served)].sort());
  });

  it('describes every parameter of a path', () => {
    for (const { path, parameters } of agentRoutes) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      expect(Object.keys(parameters.shape).sort()).toEqual(names.sort());
    }
  });

  it('declares integers of paths and queries as integers', () => {
    const { paths } = agentOpenApi() as {
      paths: Record<string, { get: { parameters: { name: string; schema: { type: string } }[] } }>;
    };
    const id = paths['/rituals/{id}']?.get.parameters.find(({ name }) => name === 'id');
    expect(id?.schema.type).toBe('integer');
    const limit = paths['/kv/{namespace}']?.get.parameters.find(({ name }) => name === 'limit');
    expect(limit?.schema).toMatchObject({ type: 'integer', maximum: 1000 });
  });

  it('declares switches of queries as booleans, with values of that type', () => {
    const { paths } = agentOpenApi() as {
      paths: Record<string, { get: { parameters: { name: string; schema: object }[] } }>;
    };
    const reverse = paths['/rituals']?.get.parameters.find(({ name }) => name === 'reverse');
    expect(reverse?.schema).toEqual({ type: 'boolean', enum: [true, false] });
  });
});
