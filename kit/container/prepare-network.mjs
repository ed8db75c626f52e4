// Writes the configurations of a development network into a folder: trust hash, root certificate of mock-tdx, and
// node-1/latchkey.yaml and so on. Waits for the chain. What is there already stays, so that a restart keeps accounts.
// Usage: node prepare-network.mjs --folder F --chain ws://127.0.0.1:9944 --mock-tdx http://127.0.0.1:8091 --seed TEXT
//        --nodes 4 --port 3001
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const text = { type: 'string' };
const { values } = parseArgs({
  options: { folder: text, chain: text, 'mock-tdx': text, seed: text, nodes: text, port: text },
});
const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const run = promisify(execFile);
const latchkey = async (...args) =>
  (await run(process.execPath, [`${dist}/src/cli/main.js`, ...args])).stdout.trim();

async function genesisHash() {
  for (let attempt = 1; ; attempt++) {
    try {
      const args = ['trust', 'checkpoint', '--endpoint', values.chain, '--block', '0', '--json'];
      return JSON.parse(await latchkey(...args)).blockHash;
    } catch (error) {
      if (attempt === 60) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

/** The root follows from the seed, so a mock-tdx that lives for a moment tells it. */
async function rootPem() {
  const args = [`${dist}/mock-tdx/main.js`, '--port', '0', '--json', '--seed', values.seed];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  child.kill();
  return JSON.parse(line).rootPem;
}

function writeNode(number, trust) {
  const home = `${values.folder}/node-${number}`;
  const file = `${home}/latchkey.yaml`;
  mkdirSync(home, { recursive: true });
  if (existsSync(file)) return file;
  const port = Number(values.port) + number - 1;
  const config = {
    node: { dataFolder: './data' },
    listen: { host: '127.0.0.1', port },
    metrics: { host: '127.0.0.1', port: port + 100 },
    chain: {
      endpoints: [values.chain],
      developmentRegistration: {
        stash: `0x${randomBytes(32).toString('hex')}`,
        endpoint: `127.0.0.1:${port}`,
      },
    },
    quote: { source: 'development', url: values['mock-tdx'], platform: number },
    collateral: { endpoints: [values['mock-tdx']] },
    trust,
  };
  // JSON is YAML.
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  return file;
}

const trust = {
  chain: { genesisHash: await genesisHash() },
  platforms: { recover: 'bound', servers: 'registered', clients: 'any' },
};
const files = Array.from({ length: Number(values.nodes) }, (_, at) => writeNode(at + 1, trust));
writeFileSync(`${values.folder}/root.pem`, await rootPem());
writeFileSync(`${values.folder}/trust-hash`, await latchkey('trust', 'hash', '--config', files[0]));
console.log(`${files.length} nodes in ${values.folder}`);
