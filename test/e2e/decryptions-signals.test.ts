import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { straySignals } from '../../src/cli/shared/stray-signals.ts';
import { builtCli } from '../support/built-cli.ts';
import { tempFolder } from '../support/temp-folder.ts';

it('the decryption service survives every stray signal, warns about its secrets, and ends by SIGTERM', {
  timeout: 240_000,
}, async () => {
  await using folder = await tempFolder();
  const password = join(folder.path, 'password');
  writeFileSync(password, 'short\n');
  chmodSync(password, 0o644);
  const child = spawn(process.execPath, [builtCli, 'decryptions', 'serve'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '',
      DECRYPTIONS_STORE_PATH: join(folder.path, 'store'),
      DECRYPTIONS_PASSWORD_FILE: password,
      DECRYPTIONS_PORT: '0',
    },
  });
  const exited = once(child, 'exit');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [ready] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const { url } = JSON.parse(ready);
  for (const signal of straySignals) {
    child.kill(signal);
    while (!said.includes(signal)) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect((await fetch(`${url}/decryption/${'ab'.repeat(32)}`, { method: 'OPTIONS' })).status).toBeLessThan(
    500,
  );
  expect(said).toContain('has mode 0644');
  expect(said).toContain('the password has 6 bytes');
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
});
