import { readFileSync } from 'node:fs';
import canonicalize from 'canonicalize';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../src/bytes/concat.ts';
import { parsePrefixedHex, toHex, toPrefixedHex } from '../../src/bytes/hex.ts';
import { SecretBytes } from '../../src/bytes/secret-bytes.ts';
import { decodeKeyslotFile } from '../../src/keyslots/keyslot-codec.ts';
import { openStoreKey } from '../../src/keyslots/recovery-attempt.ts';
import { openLineageSecret } from '../../src/keyslots/slot-seal.ts';

interface Example {
  readonly storeKey: string;
  readonly lineageSecret: string;
  readonly serverKeys: readonly string[];
  readonly file: object;
}

/** The worked example of docs/keyslot-format.md: files of version 1 must open for ever. */
function documentedExample(): Example {
  const page = readFileSync(new URL('../../docs/keyslot-format.md', import.meta.url), 'utf8');
  const [, json] = /```json\n([\s\S]*?)\n```/.exec(page) ?? [];
  if (json === undefined) throw new TypeError('the page has no JSON example');
  // The page is ours; a wrong shape fails the test below.
  return JSON.parse(json) as Example;
}

describe('docs/keyslot-format.md', () => {
  const example = documentedExample();
  const file = decodeKeyslotFile(utf8(canonicalize(example.file) ?? ''));
  const answers = file.generations[0].slots.map(({ server, slotId, keyId }, index) => ({
    server,
    platform: toHex(server),
    slotId,
    keyId,
    key: new SecretBytes(parsePrefixedHex(example.serverKeys[index] ?? '', 32, 'key')),
  }));

  it.each([
    [0, 1],
    [0, 2],
    [1, 2],
  ])('servers %i and %i of the worked example give its store key', async (first, second) => {
    const chosen = answers.filter((_, index) => index === first || index === second);
    const { recovered, verdicts } = await openStoreKey(file, 2, chosen);
    expect(verdicts).toEqual(['opened', 'opened']);
    expect(toPrefixedHex(recovered?.storeKey.reveal() ?? new Uint8Array(0))).toBe(example.storeKey);
    expect(recovered?.outsiders).toEqual([]);
  });

  it('the store key of the worked example opens its lineage secret, and another key does not', () => {
    const [generation] = file.generations;
    const open = (key: SecretBytes) =>
      openLineageSecret(key, { ...file, generation: generation.generation }, generation.lineage);
    const storeKey = new SecretBytes(parsePrefixedHex(example.storeKey, 32, 'storeKey'));
    expect(toPrefixedHex(open(storeKey)?.reveal() ?? new Uint8Array(0))).toBe(example.lineageSecret);
    expect(open(new SecretBytes(new Uint8Array(32)))).toBeUndefined();
  });

  it('one server of the worked example does not give the store key', async () => {
    expect((await openStoreKey(file, 2, answers.slice(0, 1))).recovered).toBeUndefined();
  });
});
