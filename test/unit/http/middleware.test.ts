import { describe, expect, it } from 'vitest';
import type { CollateralSource } from '../../../src/collateral/collateral-source.ts';
import { keyServerWorld, memoryCollateral } from '../../support/key-server-fixture.ts';
import { ProtocolClient } from '../../support/protocol-client.ts';

describe('routes and methods', () => {
  it('an unknown route is 404, and its path is no metric label', async () => {
    const world = keyServerWorld();
    const reply = await world.send('GET', '/nowhere/0123456789');
    expect(reply).toMatchObject({ status: 404, json: { code: 'ROUTE_NOT_FOUND' } });
    const metrics = await world.metrics.text();
    expect(metrics).toContain('latchkey_http_requests_total{route="none",status="404"} 1');
    expect(metrics).not.toContain('nowhere');
  });

  it.each([
    ['GET', '/challenge', 'POST'],
    ['PUT', '/request-encryption-key', 'POST'],
    ['DELETE', '/key-status', 'POST'],
    ['POST', '/attestation', 'GET, HEAD'],
    ['POST', '/info', 'GET, HEAD'],
  ])('%s %s is 405 with the allowed methods', async (method, path, allow) => {
    const world = keyServerWorld();
    const reply = await world.send(method, path);
    expect(reply).toMatchObject({ status: 405, json: { code: 'METHOD_NOT_ALLOWED' } });
    expect(reply.headers.get('allow')).toBe(allow);
    expect(reply.headers.get('content-type')).toBe('application/problem+json');
    expect(await world.metrics.text()).toContain(`{route="none",status="405"} 1`);
  });

  it('a 404 of a route that exists is counted under that route', async () => {
    const world = keyServerWorld();
    const client = new ProtocolClient(world);
    const attempt = await client.prepare({ intent: 'recover' });
    expect((await client.submit(attempt)).json['code']).toBe('KEY_UNKNOWN');
    expect(await world.metrics.text()).toContain('{route="/request-encryption-key",status="404"} 1');
  });

  it('every answer has a request id of its own, and the log names it', async () => {
    const world = keyServerWorld();
    const ids = [await world.send('GET', '/healthz'), await world.send('GET', '/nowhere')].map(
      ({ headers }) => headers.get('x-request-id'),
    );
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(world.logText()).toContain(`"requestId":"${id}"`);
  });
});

describe('deadlines and failures', () => {
  it('a request that takes too long is 504, and counts as such', async () => {
    const never: Partial<CollateralSource> = { collateralFor: () => new Promise(() => undefined) };
    const world = keyServerWorld({ deadlineMs: 30, collateral: replaced(never) });
    const client = new ProtocolClient(world);
    const attempt = await client.prepare();
    expect(await client.submit(attempt)).toMatchObject({ status: 504, json: { code: 'REQUEST_TIMEOUT' } });
  });

  it('an unexpected failure shows no details to the client; the log has all details except the body', async () => {
    const failing: Partial<CollateralSource> = {
      collateralFor: () => Promise.reject(new Error('the inner workings')),
    };
    const world = keyServerWorld({ collateral: replaced(failing) });
    const client = new ProtocolClient(world);
    const reply = await client.submit(await client.prepare());
    expect(reply).toMatchObject({ status: 500, json: { code: 'INTERNAL' } });
    expect(reply.text).not.toContain('inner workings');
    expect(world.logText()).toContain('the inner workings');
    expect(world.logText()).toContain(String(reply.json['instance']));
  });

  it('a collateral outage is 503 and not a refusal', async () => {
    const { ProblemError } = await import('../../../src/errors/latchkey-error.ts');
    const outage: Partial<CollateralSource> = {
      collateralFor: () => Promise.reject(new ProblemError('COLLATERAL_UNAVAILABLE', 'no endpoint answers')),
    };
    const client = new ProtocolClient(keyServerWorld({ collateral: replaced(outage) }));
    const reply = await client.submit(await client.prepare());
    expect(reply).toMatchObject({ status: 503, json: { code: 'COLLATERAL_UNAVAILABLE' } });
    expect(client.world.vault.size).toBe(0);
  });
});

function replaced(part: Partial<CollateralSource>): CollateralSource {
  const { pki, clock } = keyServerWorld();
  return { ...memoryCollateral(pki, clock), ...part };
}
