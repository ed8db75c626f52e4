import { describe, expect, it } from 'vitest';
import { toBase64 } from '../../../src/bytes/base64.ts';
import { X25519PublicKey } from '../../../src/bytes/fixed-bytes.ts';
import { toHex, toPrefixedHex } from '../../../src/bytes/hex.ts';
import { encodeSs58 } from '../../../src/bytes/ss58.ts';
import { generateX25519KeyPair } from '../../../src/crypto/x25519.ts';
import { requestReportData } from '../../../src/protocol/report-data.ts';
import { keyServerWorld } from '../../support/key-server-fixture.ts';
import { newSlotId, ProtocolClient } from '../../support/protocol-client.ts';

/** One quote for `count` servers, each with its own slot id. */
async function askAll(count: number) {
  const first = keyServerWorld();
  const rest = Array.from({ length: count - 1 }, (_, index) =>
    keyServerWorld({ seed: index + 2, clock: first.clock }),
  );
  const clients = [first, ...rest].map((world) => new ProtocolClient(world));
  const [{ account } = failed()] = clients;
  const ephemeral = generateX25519KeyPair();
  const ephemeralPublicKey = X25519PublicKey.of(ephemeral.publicKey);
  const servers = await Promise.all(
    clients.map(async (client) => ({
      server: client.world.account,
      nonce: await client.challenge(ephemeralPublicKey),
      slotId: newSlotId(),
    })),
  );
  const reportData = requestReportData({ account, ephemeralPublicKey, intent: 'create', servers });
  const body = {
    accountId: encodeSs58(account),
    ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
    intent: 'create',
    servers: servers.map(({ server, nonce, slotId }) => ({
      server: encodeSs58(server),
      nonce: toPrefixedHex(nonce),
      slotId: toPrefixedHex(slotId),
    })),
    quote: toBase64(first.quote({ reportData })),
  };
  return { clients, attempt: { body, reportData, ephemeral, account } };
}

function failed(): never {
  throw new TypeError('there is a first client');
}

describe('one quote for many servers', () => {
  it('each of 16 servers gives a different key', async () => {
    const { clients, attempt } = await askAll(16);
    const grants = await Promise.all(
      clients.map(async (client) => client.open(attempt, await client.submit(attempt))),
    );
    expect(new Set(grants.map(({ key }) => toHex(key.reveal()))).size).toBe(16);
    expect(
      new Set(grants.map(({ recoveryToken }) => toHex(recoveryToken?.reveal() ?? new Uint8Array()))).size,
    ).toBe(16);
  });

  it('an answer opens only as the answer of its server, and a request is refused at a server that it does not name', async () => {
    const { clients, attempt } = await askAll(2);
    const [one = failed(), two = failed()] = clients;
    const reply = await one.submit(attempt);
    expect(() => two.open(attempt, reply)).toThrow('does not open');
    const third = new ProtocolClient(keyServerWorld({ seed: 99, clock: one.world.clock }));
    expect((await third.submit(attempt)).json['code']).toBe('SERVER_NOT_ADDRESSED');
  });

  it('a quoted server cannot be left out or exchanged', async () => {
    const { clients, attempt } = await askAll(3);
    const [one = failed()] = clients;
    const entries = attempt.body.servers;
    for (const servers of [entries.slice(0, 2), [entries[0], entries[2], entries[2]], entries.slice(0, 1)]) {
      const reply = await one.submit({ ...attempt, body: { ...attempt.body, servers } });
      expect(['REPORT_DATA_MISMATCH', 'FIELD_INVALID']).toContain(reply.json['code']);
    }
    const reordered = { ...attempt.body, servers: [...entries].reverse() };
    expect((await one.submit({ ...attempt, body: reordered })).status).toBe(200);
  });
});
