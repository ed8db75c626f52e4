import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { readSecrets, wipeSecrets } from '../../../src/config/secrets.ts';
import { LatchkeyError } from '../../../src/errors/latchkey-error.ts';
import { yamlWith } from './config-fixture.ts';

const withToken = loadConfig(
  yamlWith({ 'decryptions.writeAuthorization': { kind: 'bearer', tokenFile: './token' } }),
  {},
);
const place = 'decryptions.writeAuthorization.tokenFile';
const file = (text: string) => async () => new TextEncoder().encode(text);

async function refusal(read: () => Promise<Uint8Array>): Promise<unknown> {
  try {
    await readSecrets(withToken, read);
    return 'none';
  } catch (error) {
    return error instanceof LatchkeyError ? [error.code, error.field] : error;
  }
}

describe('secrets', () => {
  it('are read from the files that the configuration names, without their final newline', async () => {
    const asked: string[] = [];
    const secrets = await readSecrets(withToken, async (path) => {
      asked.push(path);
      return new TextEncoder().encode('0123456789abcdef\r\n');
    });
    expect(asked).toEqual(['./token']);
    expect(Buffer.from(secrets.decryptionsWriteToken?.reveal() ?? []).toString()).toBe('0123456789abcdef');
  });

  it('are not wiped with the bytes that were read, also when these are a Buffer', async () => {
    const file = Buffer.from('0123456789abcdef\n');
    const secrets = await readSecrets(withToken, async () => file);
    expect(file.every((byte) => byte === 0)).toBe(true);
    expect(Buffer.from(secrets.decryptionsWriteToken?.reveal() ?? []).toString()).toBe('0123456789abcdef');
  });

  it('are never printed, and are erased when wiped', async () => {
    const secrets = await readSecrets(withToken, file('0123456789abcdef'));
    for (const text of [
      JSON.stringify(secrets),
      inspect(secrets, { depth: 9 }),
      `${secrets.decryptionsWriteToken}`,
    ])
      expect(text).not.toContain('0123456789abcdef');
    wipeSecrets(secrets);
    expect(() => secrets.decryptionsWriteToken?.reveal()).toThrow(TypeError);
  });

  it('no file is read when the configuration names none', async () => {
    const read = () => Promise.reject(new Error('must not be read'));
    expect(await readSecrets(loadConfig(yamlWith(), {}), read)).toEqual({});
    expect(await readSecrets(loadConfig(yamlWith({ decryptions: {} }), {}), read)).toEqual({});
  });

  it.each([
    ['missing', () => Promise.reject(new Error('ENOENT'))],
    ['empty', file('')],
    ['only a newline', file('\n')],
    ['15 bytes', file('0123456789abcde\n')],
    ['5000 bytes', file('x'.repeat(5000))],
  ])('a token file that is %s is refused with its path in the configuration', async (_what, read) => {
    expect(await refusal(read)).toEqual(['CONFIG_INVALID', place]);
  });
});
