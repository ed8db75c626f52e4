import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { kitVectors } from '../../scripts/kit-vectors.ts';
import { tryFromBase64 } from '../../src/bytes/base64.ts';
import { AccountId, InstanceId, ReportData } from '../../src/bytes/fixed-bytes.ts';
import { tryFromHex } from '../../src/bytes/hex.ts';
import { encodeSs58 } from '../../src/bytes/ss58.ts';
import { x25519KeyPairFromSecret } from '../../src/crypto/x25519.ts';
import { openAuth } from '../../src/hpke/hpke.ts';
import { keyAnswer, parseWire } from '../../src/protocol/decode.ts';
import { decodeKeyGrant, sealedKeyAad, sealedKeyInfo } from '../../src/protocol/sealed-key.ts';
import { decodeForgotten, decodeServerState } from '../../src/protocol/slot-messages.ts';

const folder = new URL('../../kit/vectors/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

/** Names of all fields, at any depth. */
function fieldsOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(fieldsOf);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [name, ...fieldsOf(inner)]);
}

describe('kit/vectors', () => {
  it('has exactly the files that the script makes', () => {
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
    expect(files.sort()).toEqual([...kitVectors().keys()].sort());
  });

  it.each([...kitVectors()])('%s: its README describes every field', (name, content) => {
    const page = read('README.md');
    const from = page.indexOf(`## ${name}`);
    expect(from).toBeGreaterThan(0);
    const part = page.slice(from, (page.indexOf('\n## ', from + 1) + page.length + 1) % (page.length + 1));
    const fields = new Set(fieldsOf(content));
    // Names of extensions are values of the vectors, not fields of the protocol.
    for (const extension of ['fleet', 'auditHead', 'notKnownYet']) fields.delete(extension);
    expect([...fields].filter((field) => !part.includes(`\`${field}\``))).toEqual([]);
  });
});

describe('kit/vectors/mac-routes.json', () => {
  interface Exchange {
    readonly name: string;
    readonly route: string;
    readonly answer: { readonly body: unknown };
  }
  // Written by the script; its shape is what the test is about.
  const { exchanges } = JSON.parse(read('mac-routes.json')) as { readonly exchanges: readonly Exchange[] };

  it.each(exchanges)(
    '$name: its answer is one that a client of this project can read',
    ({ route, answer }) => {
      const decode = route === 'forget' ? decodeForgotten : decodeServerState;
      expect(() => decode(answer.body)).not.toThrow();
    },
  );
});

interface AnswerFile {
  readonly body: unknown;
  readonly plaintext: string;
  readonly refused: readonly { readonly change: string; readonly body: unknown }[];
}

describe('kit/vectors/answer.json', () => {
  // Written by the script; what is read of it is used below.
  const { body, plaintext, refused } = JSON.parse(read('answer.json')) as AnswerFile;
  const { keys, request } = JSON.parse(read('request.json')) as {
    readonly keys: Readonly<Record<string, string>>;
    readonly request: { readonly reportData: string };
  };
  const bytes = (text: string | undefined): Uint8Array => tryFromHex(text ?? '') ?? new Uint8Array();
  const server = AccountId.of(bytes(keys['serverAccount']));

  /** Opens an answer as the client of this project does. */
  function open(answer: unknown): string | undefined {
    const decoded = parseWire(keyAnswer, answer);
    if (decoded.server !== encodeSs58(server)) return undefined;
    const opened = openAuth({
      recipientKeyPair: x25519KeyPairFromSecret(bytes(keys['ephemeralSecret'])),
      senderPublicKey: bytes(keys['serverX25519PublicKey']),
      enc: bytes(decoded.enc),
      info: sealedKeyInfo(server, AccountId.of(bytes(keys['clientAccount']))),
      aad: sealedKeyAad(ReportData.of(bytes(request.reportData)), InstanceId.of(bytes(decoded.instanceId))),
      ciphertext: tryFromBase64(decoded.ciphertext) ?? new Uint8Array(),
    });
    return opened && new TextDecoder().decode(opened);
  }

  it('seals what a client of this project can read', () => {
    expect(decodeKeyGrant(new TextEncoder().encode(plaintext)).lineage?.reserved.boot).toHaveLength(16);
  });

  it('opens to its plaintext', () => {
    expect(open(body)).toBe(plaintext);
  });

  it.each(refused)('is refused with another $change', ({ body: changed }) => {
    expect(changed).not.toEqual(body);
    let opened: string | undefined;
    try {
      opened = open(changed);
    } catch {
      opened = undefined;
    }
    expect(opened).toBeUndefined();
  });

  it('only its text changes in the two that change the ciphertext: they are still base64', () => {
    const texts = refused.map(({ body: changed }) => (changed as { ciphertext: string }).ciphertext);
    expect(texts.filter((text) => tryFromBase64(text) === undefined)).toEqual([]);
  });
});
