import { Command } from 'commander';
import { escapeControls } from '../../bytes/escape-controls.ts';
import { processInputs } from '../../config/process-inputs.ts';
import { unmeasuredInputs } from '../../config/unmeasured-environment.ts';
import { buildParts } from '../../node/parts.ts';
import { silentLog } from '../../observe/log.ts';
import { addConfigOption, type ConfigOptions, readConfig } from '../shared/config-options.ts';
import { type Finding, findingsOf } from '../shared/doctor-findings.ts';
import { exitCodes } from '../shared/failure.ts';

interface DoctorOptions extends ConfigOptions {
  readonly json?: true;
}

/** `latchkey doctor`: checks the environment of a node, and gives advice on each problem. */
export function doctorCommand(): Command {
  return addConfigOption(new Command('doctor'))
    .description(
      'check clock, permissions, sockets, trust hash and unmeasured inputs; exit 0 when nothing is wrong',
    )
    .option('--json', 'print JSON')
    .action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const config = await readConfig(options.config);
  const parts = buildParts(config, { log: silentLog });
  try {
    const unmeasured = unmeasuredInputs(process.env, process.execArgv);
    const findings = await findingsOf(config, parts, unmeasured);
    show(findings, options);
    if (findings.some(({ level }) => level === 'wrong')) process.exitCode = exitCodes.refused;
  } finally {
    await parts.chain[Symbol.asyncDispose]();
    await parts.collateral.close();
  }
}

function show(findings: readonly Finding[], { json }: DoctorOptions): void {
  if (json === true) {
    console.log(JSON.stringify({ findings, inputs: processInputs }));
    return;
  }
  for (const { level, check, text, advice } of findings) {
    console.log(escapeControls(`${level.padEnd(8)} ${check}: ${text}`));
    if (advice !== undefined) console.log(escapeControls(`         ${advice}`));
  }
  console.log('\nInputs of a node, and whether the trust hash (MRCONFIGID) covers them:');
  for (const { kind, name, protection, effect } of processInputs)
    console.log(`  ${protection.padEnd(11)}  ${kind}: ${name}\n               ${effect}`);
}
