import { randomBytes } from 'node:crypto';
import { AccountId, Nonce, X25519PublicKey } from '../src/bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../src/bytes/hex.ts';
import { encodeSs58 } from '../src/bytes/ss58.ts';
import { generateX25519KeyPair } from '../src/crypto/x25519.ts';
import { PLAIN_SLOT_ID, requestReportData } from '../src/protocol/report-data.ts';
import type { DevelopmentNode } from './development-node.ts';
import type { Timeline } from './timeline.ts';

/** TD attributes DEBUG and SEPT_VE_DISABLE. */
const DEBUG_ATTRIBUTES = '0x0100001000000000';

/** Asks a server with three quotes that it must refuse, and one that it must not. */
export async function showRefusals(
  server: DevelopmentNode,
  quoteProvider: string,
  timeline: Timeline,
): Promise<void> {
  const stranger = AccountId.of(new Uint8Array(randomBytes(32)));
  const accepted = (answer: Answer) => expect(answer, 200, undefined);
  await timeline.step('a genuine request is granted', async () =>
    accepted(await ask(server, quoteProvider, { asAccount: stranger, quotedAccount: stranger })),
  );
  const other = AccountId.of(new Uint8Array(randomBytes(32)));
  await timeline.step(
    'a quote that binds another account is refused',
    async () =>
      expect(
        await ask(server, quoteProvider, { asAccount: other, quotedAccount: stranger }),
        401,
        'REPORT_DATA_MISMATCH',
      ),
    (text) => text,
  );
  await timeline.step(
    'a debug TD is refused',
    async () => {
      const measurements = { tdAttributes: DEBUG_ATTRIBUTES };
      return expect(
        await ask(server, quoteProvider, { asAccount: stranger, quotedAccount: stranger, measurements }),
        403,
        'TD_DEBUG',
      );
    },
    (text) => text,
  );
  await timeline.step(
    'a wrong measurement is refused',
    async () => {
      const measurements = { mrTd: toPrefixedHex(new Uint8Array(48).fill(7)) };
      return expect(
        await ask(server, quoteProvider, { asAccount: stranger, quotedAccount: stranger, measurements }),
        403,
        'MEASUREMENT_REFUSED',
      );
    },
    (text) => text,
  );
}

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
  readonly detail: string | undefined;
}

function expect(answer: Answer, status: number, code: string | undefined): string {
  if (answer.status === status && answer.code === code)
    return `${answer.status} ${answer.code ?? 'OK'}: ${answer.detail ?? ''}`;
  throw new Error(
    `expected ${status} ${code ?? ''}, got ${answer.status} ${answer.code ?? ''} ${answer.detail ?? ''}`,
  );
}

async function ask(
  server: DevelopmentNode,
  quoteProvider: string,
  request: {
    readonly asAccount: AccountId;
    readonly quotedAccount: AccountId;
    readonly measurements?: Readonly<Record<string, string>>;
  },
): Promise<Answer> {
  const ephemeralPublicKey = X25519PublicKey.of(generateX25519KeyPair().publicKey);
  const accountId = encodeSs58(request.asAccount);
  const challenge = await post(`${server.url}/challenge`, {
    accountId,
    ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
  });
  const nonce = Nonce.parse(text(challenge.json, 'nonce') ?? '', 'nonce');
  const self = AccountId.parse(server.accountId, 'server');
  const reportData = requestReportData({
    account: request.quotedAccount,
    ephemeralPublicKey,
    intent: 'get-or-create',
    servers: [{ server: self, nonce, slotId: PLAIN_SLOT_ID }],
  });
  const quoted = await post(`${quoteProvider}/quote`, {
    reportData: toPrefixedHex(reportData),
    ...(request.measurements === undefined ? {} : { measurements: request.measurements }),
  });
  const answer = await post(`${server.url}/request-encryption-key`, {
    accountId,
    ephemeralPublicKey: toPrefixedHex(ephemeralPublicKey),
    servers: [{ server: server.accountId, nonce: toPrefixedHex(nonce) }],
    quote: text(quoted.json, 'quote'),
  });
  return { status: answer.status, code: text(answer.json, 'code'), detail: text(answer.json, 'detail') };
}

async function post(
  url: string,
  body: unknown,
): Promise<{ readonly status: number; readonly json: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: await response.json() };
}

function text(json: unknown, field: string): string | undefined {
  if (typeof json !== 'object' || json === null || !(field in json)) return undefined;
  const value = (json as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : undefined;
}
