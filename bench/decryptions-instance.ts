import { DecryptionService } from '../src/decryptions/decryption-service.ts';
import { decryptionsApp } from '../src/decryptions/decryptions-app.ts';
import { EtcdTable } from '../src/decryptions/etcd/etcd-table.ts';
import { serveApp } from '../src/decryptions/serve-app.ts';

/** One instance of the decryption service on etcd, in a process of its own; ends when its parent disconnects. */
async function main(endpoints: readonly string[]): Promise<void> {
  const table = await EtcdTable.open({ endpoints });
  const service = DecryptionService.on(table, { maxExpectedOracleDelayMs: 120_000 });
  const listening = await serveApp(decryptionsApp(service), { address: '127.0.0.1', port: 0 });
  process.on('disconnect', () => {
    service.close();
    table.close();
    void listening.close(0);
  });
  process.send?.(listening.url);
}

await main(process.argv.slice(2));
