import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Node 20 deadlocks when a KeyObject that `generateKeyPairSync` returned is exported as JWK and garbage collection
 * runs inside the export (docs of `generateX25519KeyPair`). A deadlocked thread cannot fail a test, so the loop runs
 * in a process of its own, with a nursery so small that collections hit the export: there the naive code hangs within
 * 2,000 turns.
 */
const loop = `
import { generateEphemeralX25519KeyPair, generateX25519KeyPair } from './src/crypto/x25519.ts';
for (let turn = 0; turn < 2000; turn++) {
  const kept = generateX25519KeyPair();
  kept.privateKey.exportSecret();
  generateEphemeralX25519KeyPair().privateKey.diffieHellman(kept.publicKey);
}
process.stdout.write('finished');
`;

describe('X25519 key generation', () => {
  it('works when garbage is collected during export', () => {
    const { stdout, signal } = spawnSync(
      process.execPath,
      ['--max-semi-space-size=1', '--import', 'tsx', '--input-type=module', '--eval', loop],
      { cwd: root, encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' },
    );
    expect(signal).toBeNull();
    expect(stdout).toBe('finished');
  }, 90_000);
});
