// The decryption service: a GET waits for the PUT of an oracle.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DecryptionService, decryptionsApp, serveApp } from 'latchkey/decryptions';
import { SealedStore, SecretBytes } from 'latchkey/store';

/** Runs the example in a folder and on a port of its own. @returns the lines that it prints. */
export async function decryptionsExample(): Promise<readonly string[]> {
  const lines: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-decryptions-'));
  const storeKey = new SecretBytes(randomBytes(32));
  await using store = await SealedStore.create({ path: join(folder, 'store'), storeKey });
  const service = await DecryptionService.open(store, { maxExpectedOracleDelayMs: 5000 });
  const listening = await serveApp(decryptionsApp(service), { address: '127.0.0.1', port: 0 });
  try {
    const url = `${listening.url}/decryption/${'42'.repeat(32)}`;
    const waiting = fetch(url);
    const body = '{"value": 18446744073709551615, "signature": "c2lnbmF0dXJl"}';
    lines.push(`PUT ${(await fetch(url, { method: 'PUT', body })).status}`);
    lines.push(`GET ${await (await waiting).text()}`);
    const other = `${listening.url}/decryption/${'00'.repeat(32)}?wait=1`;
    lines.push(`GET ${(await fetch(other)).status}`);
    return lines;
  } finally {
    service.close();
    await listening.close(100);
    await store.close();
    await rm(folder, { recursive: true });
  }
}

if (import.meta.filename === process.argv[1])
  for (const line of await decryptionsExample()) console.log(line);
