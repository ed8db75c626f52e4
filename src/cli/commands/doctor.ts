import { Command } from 'commander';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { unmeasuredInputs } from '../../config/unmeasured-environment.ts';
import type { Finding } from '../doctor/finding.ts';
import {
  addConfigOption,
  addTrustRootOption,
  type ConfigOptions,
  type RootOptions,
  readConfig,
  readTrustRoot,
} from '../shared/config-options.ts';
import { exitCodes } from '../shared/failure.ts';

interface DoctorOptions extends ConfigOptions, RootOptions {
  readonly json?: true;
}

/** `latchkey doctor`: checks the environment of a node, and gives advice on each problem. */
export function doctorCommand(): Command {
  return addTrustRootOption(addConfigOption(new Command('doctor')))
    .description(
      'check clock, chain, disk, permissions, memory, trust hash, collateral and inputs; exit 1 when something is wrong',
    )
    .option('--json', 'print JSON')
    .action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  // A whole node is loaded for it, which `doctor --help` does not need.
  const { buildParts } = await import('../../node/parts.ts');
  const { findingsOf } = await import('../shared/doctor-findings.ts');
  const { silentLog } = await import('../../observe/log.ts');
  const config = await readConfig(options.config);
  const trustRoot = await readTrustRoot(options);
  const parts = buildParts(config, { log: silentLog, ...(trustRoot === undefined ? {} : { trustRoot }) });
  try {
    const unmeasured = unmeasuredInputs(process.env, process.execArgv);
    const findings = await findingsOf(config, parts, unmeasured, trustRoot !== undefined);
    await show(findings, options);
    if (findings.some(({ level }) => level === 'wrong')) process.exitCode = exitCodes.refused;
  } finally {
    await parts.chain[Symbol.asyncDispose]();
    await parts.collateral.close();
    await parts.earlyCollateral?.close();
  }
}

async function show(findings: readonly Finding[], { json }: DoctorOptions): Promise<void> {
  const { processInputs } = await import('../../config/process-inputs.ts');
  if (json === true) {
    console.log(JSON.stringify({ findings, inputs: processInputs }));
    return;
  }
  for (const { level, check, text, advice } of findings) {
    console.log(escapeControls(`${level.padEnd(8)} ${check}: ${text}`));
    if (advice !== undefined) console.log(escapeControls(`         ${advice}`));
  }
  console.log('\nInputs of a node, and whether the trust hash (MRCONFIGID) covers them:');
  for (const { kind, name, protection, effect, ends } of processInputs) {
    const promises = ends === undefined ? '' : `; ends promises ${ends.join(', ')} of docs/threat-model.md`;
    console.log(`  ${protection.padEnd(11)}  ${kind}: ${name}\n               ${effect}${promises}`);
  }
}
