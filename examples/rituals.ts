// Ritual fragments on a sealed store: write once, find expired ones, revoke by destroying the key.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Datastore, expiryGuard, LatchkeyError } from 'latchkey/rituals';
import { SealedStore, SecretBytes } from 'latchkey/store';

const DAY = 86_400;

/** Runs the example in a folder of its own. @returns the lines that it prints. */
export async function ritualsExample(): Promise<readonly string[]> {
  const lines: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-rituals-'));
  // In a node this key comes back from the key servers; here it is fresh.
  const storeKey = new SecretBytes(randomBytes(32));
  await using store = await SealedStore.create({ path: join(folder, 'store'), storeKey });
  try {
    const now = 1_700_000_000;
    const datastore = await Datastore.initialize(store, { authorize: expiryGuard(30 * DAY, () => now) });

    await datastore.storeFragment(42, now - 10 * DAY, new TextEncoder().encode('fragment of 42'));
    await datastore.storeFragment(43, now - 40 * DAY, new TextEncoder().encode('fragment of 43'));
    const { fragment } = await datastore.retrieveFragment(42);
    lines.push(`42: ${new TextDecoder().decode(fragment)}`);

    const refused = await datastore.retrieveFragment(43).catch((error: unknown) => error);
    lines.push(`43: ${refused instanceof LatchkeyError ? refused.code : refused}`);

    for (const { id } of await datastore.findExpired(now - 30 * DAY)) {
      await datastore.deleteFragment(id);
      lines.push(`revoked ${id}`);
    }
    lines.push(`left: ${(await datastore.list()).map(({ id }) => id).join(', ')}`);
    return lines;
  } finally {
    await store.close();
    await rm(folder, { recursive: true });
  }
}

if (import.meta.filename === process.argv[1]) for (const line of await ritualsExample()) console.log(line);
