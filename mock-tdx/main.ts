#!/usr/bin/env node
import { once } from 'node:events';
import { sha256 } from '@noble/hashes/sha2.js';
import { Command, InvalidArgumentError, Option } from 'commander';
import { utf8 } from '../src/bytes/concat.ts';
import { tryFromHex } from '../src/bytes/hex.ts';
import { createDevelopmentPki } from './development-pki.ts';
import { measurementLengths, measurementNames, type TdMeasurements } from './measurements.ts';
import { type MockTdx, startMockTdx } from './server.ts';
import { fleetLines, tamperLines } from './tamper-kit.ts';

interface Flags extends Partial<Record<keyof TdMeasurements, Uint8Array>> {
  readonly port: number;
  readonly host: string;
  readonly seed?: string;
  readonly style: 'pcs' | 'pccs';
  readonly json?: true;
  readonly tamperKit?: true;
  readonly fleetKit?: true;
}

const flagName = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function command(): Command {
  const program = new Command('mock-tdx')
    .description(
      'A development PKI over HTTP: makes TDX quotes that say what you want, and serves their collateral',
    )
    .option('--port <number>', 'port; 0 takes a free one', parsePort, 8091)
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--seed <text>', 'the same text gives the same root and platforms; at random without')
    .addOption(new Option('--style <api>', 'API habits to imitate').choices(['pcs', 'pccs']).default('pccs'))
    .option('--json', 'print one line of JSON when ready')
    .option('--tamper-kit', 'start nothing; print evidence with single defects, JSON lines')
    .option('--fleet-kit', 'start nothing; print fleet manifests with single defects, JSON lines')
    .showHelpAfterError();
  for (const name of measurementNames) {
    const byteLength = measurementLengths[name];
    program.option(
      `--${flagName(name)} <hex>`,
      `default of ${name}, ${byteLength} bytes`,
      parseHex(byteLength),
    );
  }
  return program;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('a port is a number from 0 to 65535');
}

const parseHex =
  (byteLength: number) =>
  (text: string): Uint8Array => {
    const bytes = tryFromHex(text);
    if (bytes?.length === byteLength) return bytes;
    throw new InvalidArgumentError(`${byteLength * 2} hex digits (${byteLength} bytes), with or without 0x`);
  };

function chosenMeasurements(flags: Flags): Partial<TdMeasurements> {
  return Object.fromEntries(
    measurementNames.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
}

function announce(server: MockTdx, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ url: server.url, rootPem: server.rootPem })}\n`);
    return;
  }
  process.stdout.write(
    [
      `mock-tdx listens on ${server.url} (development only: anyone can have any quote)`,
      `  quote:  curl -s ${server.url}/quote -H 'content-type: application/json' -d '{"reportData":"0x${'00'.repeat(64)}"}'`,
      `  root:   curl -s ${server.url}/root.pem`,
      '',
    ].join('\n'),
  );
}

async function printLines(lines: Iterable<object>): Promise<void> {
  for (const line of lines) {
    if (!process.stdout.write(`${JSON.stringify(line)}\n`)) await once(process.stdout, 'drain');
  }
}

async function main(): Promise<void> {
  const program = command();
  program.parse();
  const flags = program.opts<Flags>();
  const seed = flags.seed === undefined ? {} : { seed: sha256(utf8(flags.seed)) };
  if (flags.tamperKit === true) return printLines(tamperLines(createDevelopmentPki(seed), Date.now()));
  if (flags.fleetKit === true) return printLines(fleetLines());
  const server = await startMockTdx({
    port: flags.port,
    host: flags.host,
    style: flags.style,
    measurements: chosenMeasurements(flags),
    ...seed,
  });
  announce(server, flags.json === true);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.close());
}

main().catch((error: unknown) => {
  process.stderr.write(`mock-tdx: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
});
