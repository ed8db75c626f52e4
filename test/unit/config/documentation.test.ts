import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { environmentVariables } from '../../../src/config/environment.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { configSchema } from '../../../src/config/schema.ts';
import { configTemplate } from '../../../src/config/template.ts';
import { defaultPolicy } from '../../../src/tdx/policy.ts';
import { measurementFields } from '../../../src/tdx/td-policy.ts';
import { yamlWith } from './config-fixture.ts';

/** As much of JSON Schema as the walk needs. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly default?: unknown;
}

interface Key {
  readonly fallback: string;
}

const page = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');

/** Every key of the schema that is no plain section, with its default as the page shows it. */
function keysOf(schema: Schema, path: string, isRequired: boolean, found: Map<string, Key>): void {
  const branches = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  const hasShape =
    schema.properties !== undefined || branches.some((branch) => branch.properties !== undefined);
  const isSection = hasShape && (schema.default === undefined || JSON.stringify(schema.default) === '{}');
  if (!isSection && path !== '') {
    const given =
      schema.default === undefined ? (isRequired ? 'required' : '') : `\`${JSON.stringify(schema.default)}\``;
    // Keys of several variants of one section appear once; one of them may have the default.
    if (!found.has(path) || found.get(path)?.fallback === '') found.set(path, { fallback: given });
  }
  for (const part of [schema, ...branches]) {
    for (const [name, child] of Object.entries(part.properties ?? {}))
      keysOf(child, path === '' ? name : `${path}.${name}`, part.required?.includes(name) ?? false, found);
  }
}

const keys = new Map<string, Key>();
// What zod makes is JSON Schema.
keysOf(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as Schema, '', true, keys);

const rows = new Map(
  [...page.matchAll(/^\| `([a-z][\w.]+)` \| (.*) \|$/gm)]
    .map((match) => [match[1] ?? '', (match[2] ?? '').split('|').map((cell) => cell.trim())] as const)
    .filter(([key]) => key.includes('.') || keys.has(key)),
);

/** JSON Schema drops the default of what is transformed; the parsed configuration has it. */
function parsedDefault(key: string): string {
  let value: unknown = loadConfig(yamlWith(), {});
  for (const name of key.split('.'))
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
}

describe('docs/configuration.md', () => {
  it('the test finds the keys of the schema', () => {
    expect(keys.size).toBeGreaterThan(60);
    expect(keys.get('listen.port')?.fallback).toBe('`3001`');
    expect(keys.get('trust.chain.genesisHash')?.fallback).toBe('required');
  });

  it('describes every key, and only existing keys', () => {
    expect([...rows.keys()].sort()).toEqual([...keys.keys()].sort());
  });

  it.each([...keys])('%s has the default that the schema gives', (key, { fallback }) => {
    const shown = rows.get(key)?.[1];
    expect(shown).toBe(fallback === '' ? parsedDefault(key) : fallback);
  });

  it('names the environment variable of every key with one', () => {
    const shown = [...rows].flatMap(([key, cells]) => {
      const variable = /`(LATCHKEY_\w+)`/.exec(cells.at(-1) ?? '')?.[1];
      return variable === undefined ? [] : [`${variable} ${key}`];
    });
    const expected = [...environmentVariables].map(([variable, key]) => `${variable} ${key}`);
    expect(shown.sort()).toEqual(expected.sort());
    for (const key of environmentVariables.values()) expect(keys.has(key)).toBe(true);
  });

  it('describes every field of the TD policy', () => {
    const fields = Object.keys(defaultPolicy).filter((field) => field !== 'measurements');
    for (const field of [...fields, ...measurementFields]) expect(page).toContain(`\`${field}\``);
  });
});

describe('the template', () => {
  it.each([...keys.keys()])('mentions %s', (key) => {
    const name = key.split('.').at(-1) ?? '';
    expect(configTemplate).toMatch(new RegExp(`\\b${name}:`));
  });
});
