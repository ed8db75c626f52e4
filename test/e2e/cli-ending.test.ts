import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { configTemplate, templateWith } from '../../src/config/template.ts';
import { builtCli } from '../support/built-cli.ts';
import { tempFolder } from '../support/temp-folder.ts';

const run = promisify(execFile);

describe('a command that has finished', { timeout: 60_000 }, () => {
  it('exits with its exit code although a library still holds a timer', async () => {
    const lingering = 'data:text/javascript,setInterval(()=>undefined,1e8)';
    const args = ['--import', lingering, builtCli];
    expect((await run(process.execPath, [...args, 'config', 'init'])).stdout).toBe(configTemplate);
    const failed = run(process.execPath, [...args, 'status', '--config', '/dev/null']);
    await expect(failed).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('CONFIG_INVALID'),
    });
  });

  it('exits only after a slow reader has received all of a long answer', async () => {
    await using folder = await tempFolder();
    const config = join(folder.path, 'long.yaml');
    const address = 'https://api.trustedservices.intel.com';
    const addresses = Array.from({ length: 16 }, (_, index) => `${address}/${'long'.repeat(8_000)}/${index}`);
    const filled = templateWith({ recover: 'bound' }).replace(`0x${'00'.repeat(32)}`, `0x${'ab'.repeat(32)}`);
    writeFileSync(config, filled.replace(`[${address}]`, JSON.stringify(addresses)));
    const pipe = `"$0" "$1" config check --json --config "$2" | (sleep 1; cat)`;
    const { stdout } = await run(
      'bash',
      ['-c', `set -o pipefail; ${pipe}`, process.execPath, builtCli, config],
      {
        maxBuffer: 1 << 26,
      },
    );
    expect(JSON.parse(stdout).collateral.endpoints).toEqual(addresses);
  });
});
