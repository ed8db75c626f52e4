import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runLatchkey } from '../support/run-latchkey.ts';

describe('latchkey rituals follow', () => {
  let folder: string;
  let config: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'latchkey-follow-'));
    config = join(folder, 'rituals.json');
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'a long enough password for a test', { mode: 0o600 });
    const place = ['--path', join(folder, 'store'), '--password-file', passwordFile];
    const { code, stderr } = await runLatchkey(['rituals', 'init', '--config', config, ...place]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const follow = (...lines: readonly string[]) =>
    runLatchkey(['rituals', 'follow', '--config', config], lines.map((line) => `${line}\n`).join(''));
  const first = '{"event":"finalized","block":7,"index":0,"id":42,"timestamp":5,"fragment":"AQI="}';
  const second = '{"event":"revoked","block":7,"index":3,"id":42}';

  it('works off each event once over several runs, and says where the source must begin', async () => {
    expect((await follow(first)).stdout).toBe(
      '{"position":null}\n{"block":7,"index":0,"id":42,"result":"stored"}\n',
    );
    expect((await runLatchkey(['rituals', 'get', '42', '--config', config])).stdout).toBe('0102\n');
    expect((await follow(first, second)).stdout).toBe(
      '{"position":{"block":7,"index":0}}\n{"block":7,"index":0,"id":42,"result":"repeated"}\n' +
        '{"block":7,"index":3,"id":42,"result":"revoked"}\n',
    );
    const again = await follow(first);
    expect(again.stdout).toContain('"result":"repeated"');
    expect((await runLatchkey(['rituals', 'list', '--config', config])).stdout).toBe('');
  });

  it('ends with an error at a line that is no event, after the events before it', async () => {
    const { code, stdout, stderr } = await follow(second.replace('"block":7', '"block":8'), '{"event":');
    expect(stdout).toContain('"result":"absent"');
    expect(stderr).toContain('FIELD_INVALID');
    expect(code).toBe(1);
  });
});
