import type { Hono } from 'hono';
import { z } from 'zod';
import { parseBase64, toBase64 } from '../bytes/base64.ts';
import { EvidenceError } from '../errors/latchkey-error.ts';
import { jsonBody, type PorchEnv } from '../http/porch.ts';
import { parseWire } from '../protocol/wire.ts';
import type { Namespace, Store } from '../store/store-api.ts';

/** Applications see only namespaces of their own; the node's identity is not among them. */
const PREFIX = 'app/';
const MAX_LISTED = 1000;

const valueBody = z.strictObject({ value: z.string() });

/**
 * Key-value storage for the programs of this machine: `GET`, `PUT`, `DELETE /kv/:namespace/:name` and
 * `GET /kv/:namespace`. An answer to a write means that the value is on the disk.
 * @param store gives the open store, or throws ProblemError NODE_LOCKED with the state as the reason.
 */
export function keyValueRoutes(app: Hono<PorchEnv>, store: () => Store): void {
  const namespace = (name: string): Promise<Namespace> => store().namespace(`${PREFIX}${name}`);

  app.get('/kv/:namespace', async ({ req, json }) => {
    const records = await namespace(req.param('namespace'));
    const limit = Math.min(Number(req.query('limit') ?? MAX_LISTED) || MAX_LISTED, MAX_LISTED);
    const prefix = req.query('prefix');
    const from = req.query('from');
    const names = records.names({
      limit,
      ...(prefix === undefined ? {} : { prefix }),
      ...(from === undefined ? {} : { from }),
    });
    return json({ names: [...names], size: records.size });
  });

  app.get('/kv/:namespace/:name', async ({ req, json }) => {
    const records = await namespace(req.param('namespace'));
    const value = await records.get(req.param('name'));
    if (value === undefined) throw recordMissing(req.param('name'));
    return json({ value: toBase64(value) });
  });

  app.put('/kv/:namespace/:name', async ({ req, json }) => {
    const { value } = parseWire(valueBody, await jsonBody(req));
    const records = await namespace(req.param('namespace'));
    const bytes = parseBase64(value, 'value');
    const before = await records.replace(req.param('name'), bytes);
    return json({ replaced: before !== undefined });
  });

  app.delete('/kv/:namespace/:name', async ({ req, json }) => {
    const records = await namespace(req.param('namespace'));
    const before = await records.delete(req.param('name'));
    return json({ deleted: before !== undefined });
  });
}

const recordMissing = (name: string): EvidenceError =>
  new EvidenceError('STORE_NAME_MISSING', `there is no record ${name.slice(0, 80)}`, { field: 'name' });
