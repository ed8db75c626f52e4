import { z } from 'zod';
import { utf8 } from '../bytes/concat.ts';
import { SecretBytes } from '../bytes/secret-bytes.ts';
import { exportRituals } from '../rituals/ritual-backup.ts';
import { MAX_PASSWORD_BYTES } from '../store/keys/password.ts';
import { type AgentRoute, agentStream } from './agent-route.ts';
import { backupStream } from './backup-stream.ts';

const codes = ['STORE_BACKUP_RUNNING', 'STORE_BACKUP_KEY_CHANGED'] as const;

/** Secret text in a body: the string itself cannot be wiped, its bytes are. */
const password = z
  .string()
  .min(1)
  .refine((text) => utf8(text).length <= MAX_PASSWORD_BYTES, `must be at most ${MAX_PASSWORD_BYTES} bytes`)
  .meta({ description: `1 to ${MAX_PASSWORD_BYTES} bytes of UTF-8`, format: 'password' });

const whole = agentStream({
  method: 'get',
  path: '/backup',
  summary: 'The whole store as of now in one file, sealed under the store key, which this API never shows',
  codes,
  stream: ({ services: { store } }) => backupStream(store, (sink) => store.backup(sink)),
});

const rituals = agentStream({
  method: 'post',
  path: '/rituals/backup',
  summary: 'All rituals as of now in one file that the password opens, with `latchkey rituals restore`',
  codes,
  body: z.strictObject({ password }),
  stream: ({ body, services: { store } }) =>
    backupStream(store, async (sink) => {
      const secret = SecretBytes.adopt(utf8(body.password));
      try {
        await exportRituals(store, secret, sink);
      } finally {
        secret.wipe();
      }
    }),
});

/** Backups, streamed while the store is written; restoring is offline, to an empty place. */
export const backupRoutes: readonly AgentRoute[] = [whole, rituals];
