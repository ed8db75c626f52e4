// The client of `latchkey/client` under `latchkey conformance --client 'node conformance.mjs'`; see docs/conformance.md.
import { randomBytes } from 'node:crypto';
import {
  AccountId,
  failureOf,
  HttpQuoteSource,
  KeyClient,
  Lineage,
  SecretBytes,
  SlotId,
  X25519PublicKey,
} from 'latchkey/client';
import { getCollateral, insecureTrustRoot, QuoteVerifier } from 'latchkey/tdx';

const scenario = JSON.parse(process.env['LATCHKEY_CONFORMANCE'] ?? '');
const bytes = (hex) => new Uint8Array(Buffer.from(hex.slice(2), 'hex'));
const random = (length) => new Uint8Array(randomBytes(length));
const print = (line) => console.log(JSON.stringify(line));

const client = new KeyClient({
  account: AccountId.parse(scenario.account, 'account'),
  quotes: new HttpQuoteSource({ url: scenario.quoteProvider }),
  deadlineMs: scenario.timeoutMs,
});
const lineage = new Lineage(new SecretBytes(bytes(scenario.lineageSecret)));
const verifier = new QuoteVerifier({ trustRoot: insecureTrustRoot(scenario.rootCertificate) });
const attestationRules = {
  verifier,
  nowMs: scenario.timeMs,
  finalized: { number: scenario.finalized.number, hash: bytes(scenario.finalized.hash) },
  maxBlocksApart: scenario.maxBlocksBehind,
  collateral: (quote) =>
    getCollateral(quote, { endpoints: [scenario.quoteProvider], verifier, nowMs: scenario.timeMs }),
};

/** What the client knows of a server; `failed` ends the steps there. */
const servers = scenario.servers.map(({ accountId, x25519PublicKey, endpoint }) => ({
  accountId,
  peer: {
    account: AccountId.parse(accountId, 'server'),
    x25519PublicKey: X25519PublicKey.parse(x25519PublicKey, 'x25519PublicKey'),
    endpoint: endpoint.replace('http://', ''),
  },
  failed: false,
}));
const [firstBoot, secondBoot] = [random(8), random(8)];
let incarnation = lineage.incarnation(1, firstBoot);

async function obtain(step, intent, targetOf, take) {
  const asked = servers.filter(({ failed }) => !failed);
  const results = await client.obtain(intent, asked.map(targetOf));
  for (const [at, server] of asked.entries()) {
    const result = results[at];
    const failure = result.ok ? take(server, result.answer.grant) : result.failure;
    if (failure === undefined) {
      const keyId = `0x${Buffer.from(result.answer.grant.keyId).toString('hex')}`;
      print({ step, server: server.accountId, ok: true, keyId });
    } else fail(step, server, failure);
  }
}

function fail(step, server, { kind, code, detail }) {
  server.failed = true;
  if (kind === 'forgot')
    print({ step, server: server.accountId, ok: false, reason: 'refused', code: 'KEY_UNKNOWN' });
  else
    print({
      step,
      server: server.accountId,
      ok: false,
      reason: kind,
      ...(code === undefined ? {} : { code }),
    });
  console.error(`${step}: ${kind} ${detail}`);
}

async function each(step, act) {
  for (const server of servers.filter(({ failed }) => !failed)) {
    try {
      const refused = await act(server);
      if (refused === undefined) print({ step, server: server.accountId, ok: true });
      else fail(step, server, { kind: refused, detail: 'as the server proves' });
    } catch (error) {
      fail(step, server, failureOf(error));
    }
  }
}

const steps = {
  attest: () =>
    each('attest', async ({ peer }) => {
      await client.attest(peer, attestationRules);
    }),
  plain: () =>
    obtain(
      'plain',
      'get-or-create',
      ({ peer }) => ({ peer, slotId: SlotId.of(new Uint8Array(16)) }),
      () => undefined,
    ),
  create: () =>
    obtain(
      'create',
      'create',
      (server) => {
        server.slotId = SlotId.of(random(16));
        return { peer: server.peer, slotId: server.slotId };
      },
      (server, { key, recoveryToken }) => {
        Object.assign(server, { key, recoveryToken });
      },
    ),
  link: () =>
    each('link', async ({ peer, slotId, key }) => {
      await client.link(peer, { slotId, key }, lineage, incarnation);
    }),
  recover: () =>
    obtain(
      'recover',
      'recover',
      ({ peer, slotId, recoveryToken }) => ({ peer, slotId, recoveryToken }),
      (server, { key }) =>
        // A node sees this by the share that does not open.
        key.equals(server.key) ? undefined : { kind: 'lied', detail: 'it gave another key' },
    ),
  reserve: () =>
    each('reserve', async ({ peer, slotId, key }) =>
      (await client.reserve(peer, { slotId, key }, lineage.reservation(2, secondBoot))) ? undefined : 'taken',
    ),
  claim: async () => {
    incarnation = lineage.incarnation(2, secondBoot);
    await each('claim', async ({ peer, slotId, key }) =>
      (await client.claim(peer, { slotId, key }, incarnation)) ? undefined : 'replaced',
    );
  },
  status: () =>
    each('status', async ({ peer }) => {
      await client.lineageStatus(peer, lineage);
    }),
  update: () =>
    each('update', async ({ peer }) => {
      const head = lineage.head(incarnation, 1, random(16));
      await client.lineageUpdate(peer, lineage, { incarnation, head });
    }),
  forget: () =>
    each('forget', async ({ peer, slotId, key }) =>
      (await client.forget(peer, { slotId, key }, incarnation)) ? undefined : 'kept',
    ),
};

for (const step of scenario.steps) {
  if (steps[step] === undefined) print({ step, unsupported: true });
  else await steps[step]();
}
