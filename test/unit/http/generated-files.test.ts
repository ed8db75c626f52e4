import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { generatedFiles } from '../../../scripts/generated-files.ts';
import { errorCodes } from '../../../src/errors/codes.ts';
import { okAnswer, problemAnswer, readyzAnswer } from '../../../src/http/node-bodies.ts';
import { attestationAnswer, challengeAnswer, keyAnswer, newsAnswer } from '../../../src/protocol/decode.ts';
import { forgetAnswer, serverStateAnswer } from '../../../src/protocol/slot-messages.ts';
import { keyServerWorld, type Reply } from '../../support/key-server-fixture.ts';
import {
  claimContent,
  keyStatusContent,
  lineageKeyNumber,
  lineageUpdateContent,
  NO_CONTENT,
  newSlotId,
  ProtocolClient,
  reserveContent,
} from '../../support/protocol-client.ts';

const committed = (path: string): string =>
  readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

describe('generated files', () => {
  it.each([...generatedFiles()])('%s equals the output of scripts/generate-docs.ts', (path, text) => {
    expect(committed(path)).toBe(text);
  });

  it('docs/errors.md has one row for every code, and no other row', () => {
    const rows = [...committed('docs/errors.md').matchAll(/^\| `([A-Z0-9_]+)` \| (\d+) \|/gm)];
    const expected = Object.entries(errorCodes).map(([code, { status }]) => `${code} ${status}`);
    expect(rows.map(([, code, status]) => `${code} ${status}`)).toEqual(expected);
  });

  it('every code that docs/protocol.md names exists', () => {
    const page = committed('docs/protocol.md');
    const named = [...page.matchAll(/`([A-Z]+(?:_[A-Z0-9]+)+)`/g)].map(([, code]) => code ?? '');
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((code) => !(code in errorCodes))).toEqual([]);
  });
});

describe('GET /openapi.json', () => {
  it('serves the committed document, which lists every route of the open port', async () => {
    const { json } = await keyServerWorld().send('GET', '/openapi.json');
    expect(json).toEqual(JSON.parse(committed('openapi.json')));
    const paths = Object.entries(json['paths'] as Record<string, object>);
    const listed = paths.map(([path, methods]) => `${Object.keys(methods).join()} ${path}`);
    expect(listed.sort()).toEqual([
      'get /accepts',
      'get /attestation',
      'get /fleet',
      'get /healthz',
      'get /info',
      'get /readyz',
      'post /challenge',
      'post /claim',
      'post /forget',
      'post /key-status',
      'post /lineage-status',
      'post /lineage-update',
      'post /request-encryption-key',
      'post /reserve',
      'post /ring/message/{session}',
      'post /ring/open',
      'post /secrets/delete',
      'post /secrets/deploy',
      'post /secrets/list',
      'post /secrets/request',
      'post /secrets/update',
      'post /server-draining',
      'post /server-restarted',
    ]);
  });

  it('describes the answers of the routes', async () => {
    const client = new ProtocolClient(keyServerWorld());
    const { world } = client;
    const slotId = newSlotId();
    const attempt = await client.prepare({ intent: 'create', slotId });
    const reply = await client.submit(attempt);
    const slot = { slotId, key: client.open(attempt, reply).key };
    const challenge = { accountId: attempt.body['accountId'], ephemeralPublicKey: `0x${'09'.repeat(32)}` };
    const restarted = { server: attempt.body['accountId'], instanceId: `0x${'09'.repeat(16)}` };
    const draining = { server: restarted.server, nonce: restarted.instanceId };
    const boot = { number: 1, bootId: new Uint8Array(16) };
    const reserved = { number: 1, boot: new Uint8Array(16) };
    const lineageKey = lineageKeyNumber(1);
    const lineage = client.sealed(slot, lineageKey);
    const head = { sequence: 1, digest: new Uint8Array(32) };
    const update = lineageUpdateContent({ incarnation: boot, head });
    const answers: readonly (readonly [z.ZodType, Reply])[] = [
      [challengeAnswer, await world.send('POST', '/challenge', challenge)],
      [keyAnswer, reply],
      [serverStateAnswer, await client.sendMac('key-status', slot, keyStatusContent({})).reply],
      [serverStateAnswer, await client.sendMac('key-status', slot, keyStatusContent({ lineage })).reply],
      [serverStateAnswer, await client.sendMac('reserve', slot, reserveContent(reserved)).reply],
      [serverStateAnswer, await client.sendMac('claim', slot, claimContent(boot)).reply],
      [serverStateAnswer, await client.sendMac('lineage-update', { lineageKey }, update).reply],
      [serverStateAnswer, await client.sendMac('lineage-status', { lineageKey }, NO_CONTENT).reply],
      [forgetAnswer, await client.sendMac('forget', slot, claimContent(boot)).reply],
      [attestationAnswer, await world.send('GET', '/attestation')],
      [newsAnswer, await world.send('POST', '/server-restarted', restarted)],
      [newsAnswer, await world.send('POST', '/server-draining', draining)],
      [okAnswer, await world.send('GET', '/healthz')],
      [readyzAnswer, await world.send('GET', '/readyz')],
      [problemAnswer, await world.send('GET', '/nowhere')],
    ];
    for (const [schema, { json, text }] of answers) {
      expect({ text, fault: schema.safeParse(json).error?.message }).toEqual({ text, fault: undefined });
    }
  });

  it('states that unknown fields are refused, and the lengths', async () => {
    const text = committed('openapi.json');
    const document = JSON.parse(text) as {
      paths: Record<
        string,
        { post: { requestBody: { content: Record<string, { schema: Record<string, unknown> }> } } }
      >;
    };
    const schema = document.paths['/challenge']?.post.requestBody.content['application/json']?.schema;
    expect(schema).toMatchObject({
      additionalProperties: false,
      required: ['accountId', 'ephemeralPublicKey'],
      properties: { ephemeralPublicKey: { type: 'string', pattern: '^0x[0-9a-fA-F]{64}$' } },
    });
  });
});
