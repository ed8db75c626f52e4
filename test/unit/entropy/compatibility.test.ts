import { describe, expect, it } from 'vitest';
import { developmentMeasurements } from '../../../mock-tdx/measurements.ts';
import { AccountId, Nonce, X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { TrustRoot } from '../../../src/tdx/verify-quote.ts';
import { measurementId } from '../../../src/trust/measurement.ts';
import { registrationContext, registrationReportData } from '../../../src/trust/registration.ts';
import {
  EntropyNode,
  newResponseSecret,
  opened,
  plaintextOf,
  publicOf,
  recoveryReportData,
} from '../../support/entropy-client.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { MemoryStore } from '../../support/memory-store.ts';

const world = (options: Parameters<typeof keyServerWorld>[0] = {}) =>
  keyServerWorld({ entropyStore: new MemoryStore(), ...options });
const key = (value: number) => new Uint8Array(32).fill(value);

describe('a node with the code of entropy-protocol-nodejs', () => {
  it('K5 backs up its key and recovers it, as backup_provider_unit_test', async () => {
    const node = new EntropyNode(world()).register();
    const backedUp = await node.backup(key(7));
    expect(backedUp).toMatchObject({ status: 200, text: '' });
    expect(toHex(await node.recover())).toBe('07'.repeat(32));
  });

  it('K5 asks the address that the chain gives for a server, and reads its public keys, as backup_provider_test', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const { json } = await server.send('GET', '/v1/info');
    expect(json).toMatchObject({ account_id: encodeSs58(server.account), ready: true });
    const publicKey = Uint8Array.from(json['x25519_public_key'] as number[]);
    expect(toHex(publicKey)).toBe(toHex(server.keyServer.identity.x25519PublicKey));
    const body = node.backupBody(key(8), publicKey);
    expect((await server.send('POST', '/v1/backup_encryption_key', body)).status).toBe(200);
    expect(toHex(await node.recover())).toBe('08'.repeat(32));
  });

  it('K5 reads answers in exactly the form of entropy-tss', async () => {
    const server = world();
    const node = new EntropyNode(server).register();
    const responseSecret = newResponseSecret();
    const answer = await server.send('POST', '/v1/backup_provider_quote_nonce', [
      ...publicOf(responseSecret),
    ]);
    expect(answer.text).toMatch(
      /^\{"hpke_message":\{"ciphertext":"0x[0-9a-f]+","encapsulation":"0x[0-9a-f]{64}"\}\}$/,
    );
    const plaintext = plaintextOf(answer.text, responseSecret);
    expect(plaintext).toMatch(
      /^\{"message":"0x[0-9a-f]{64}","sender":"5\w+","signature":"[0-9a-f]{128}","receiver_x25519":null\}$/,
    );
    await node.backup(key(1));
    const recovery = await node.prepare({ responseSecret });
    expect(plaintextOf((await node.submit(recovery)).text, responseSecret)).toContain(
      `"0x${'01'.repeat(32)}"`,
    );
  });

  it('K2 binds account, key, context and nonce by the report data of entropy-tss, as its vector says', () => {
    const account = AccountId.of(Uint8Array.from({ length: 32 }, (_, index) => index));
    const x25519 = X25519PublicKey.of(Uint8Array.from({ length: 32 }, (_, index) => index + 32));
    const nonce = Nonce.of(new Uint8Array(32).fill(9));
    const hash = 'c6656a289b7b85bdbe37b4c0a431f804e92e36e163040f34526de55b45ddfe68';
    const context = registrationContext.encryptionKeyRecovery;
    expect(toHex(registrationReportData(account, x25519, context, nonce))).toBe(`${hash}${'09'.repeat(32)}`);
    expect(toHex(recoveryReportData(account, x25519, nonce))).toBe(`${hash}${'09'.repeat(32)}`);
  });

  it('K5 gets the quote of a registration, and the version', async () => {
    const server = world();
    const nonce = '5a'.repeat(32);
    const response = await server.handler(
      new Request(`http://a/v1/attest?context=change_endpoint&nonce=0x${nonce}`),
    );
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    const quote = toHex(new Uint8Array(await response.arrayBuffer()));
    const { x25519PublicKey } = server.keyServer.identity;
    const expected = registrationReportData(
      server.account,
      x25519PublicKey,
      1,
      Nonce.of(new Uint8Array(32).fill(0x5a)),
    );
    expect(quote).toContain(toHex(expected));
    const version = await server.send('GET', '/v1/version');
    expect(version.json).toEqual({
      cargo_package_version: '0.0.0',
      git_tag_commit: 'latchkey-0.0.0',
      build: 'NonProduction',
    });
  });

  it.each([
    [
      'an unknown context',
      `context=encryption_key_recovery_request&nonce=0x${'00'.repeat(32)}`,
      'FIELD_INVALID',
    ],
    ['a context that every object has', `context=toString&nonce=0x${'00'.repeat(32)}`, 'FIELD_INVALID'],
    ['no context', `nonce=0x${'00'.repeat(32)}`, 'FIELD_INVALID'],
    ['no nonce', 'context=validate', 'FIELD_INVALID'],
    ['a short nonce', 'context=validate&nonce=0x00', 'FIELD_INVALID'],
  ])('K5 gets no quote for %s', async (_what, query, code) => {
    const { status, json } = await world().send('GET', `/v1/attest?${query}`);
    expect({ status, code: json['code'] }).toEqual({ status: 400, code });
  });

  it('K5 reads from the version which image a production server runs', async () => {
    const server = world({ trustRoot: TrustRoot.intel });
    const measurement = toHex(measurementId(developmentMeasurements));
    expect((await server.send('GET', '/v1/version')).json['build']).toEqual({
      ProductionWithMeasurementValue: measurement,
    });
  });

  it('K5 finds nothing where the routes are not switched on', async () => {
    const server = keyServerWorld();
    for (const path of ['/v1/backup_encryption_key', '/v1/recover_encryption_key']) {
      expect((await server.send('POST', path, {})).json['code']).toBe('ROUTE_NOT_FOUND');
    }
    expect((await server.send('GET', '/v1/info')).json['code']).toBe('ROUTE_NOT_FOUND');
  });

  it('K5 the API description lists the routes where they are switched on', async () => {
    const paths = async (server: ReturnType<typeof world>) =>
      Object.keys((await server.send('GET', '/openapi.json')).json['paths'] as object);
    expect(await paths(world())).toContain('/v1/recover_encryption_key');
    expect(await paths(keyServerWorld())).not.toContain('/v1/recover_encryption_key');
  });

  it('opens nothing of another recipient', async () => {
    const node = new EntropyNode(world()).register();
    await node.backup(key(1));
    const answer = await node.submit(await node.prepare());
    expect(() => opened(newResponseSecret(), answer)).toThrow();
  });
});
