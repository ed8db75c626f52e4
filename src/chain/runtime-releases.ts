import { ProblemError } from '../errors/latchkey-error.ts';
import type { Layout, RuntimeLayout } from './runtime-layout.ts';
import { ScaleReader } from './scale-reader.ts';

/** How a release of Entropy's runtime stores what is read. */
export interface RuntimeRelease {
  readonly name: string;
  /** `spec_version` of `System.LastRuntimeUpgrade`. Two forms have had the same. */
  readonly specVersion: number;
  readonly serverInfo: RuntimeLayout['serverInfo'];
  /** A map by service, one plain list, or the plain list of another item. */
  readonly measurements: 'map' | 'plain' | 'AcceptedMrtdValues';
}

/** `spec_name` of Entropy's runtime. */
const SPEC_NAME = 'node';
const bytes: Layout = { kind: 'sequence', of: { kind: 'fixed', bytes: 1 } };
const withQuote = ['tssAccount', 'x25519PublicKey', 'endpoint', 'tdxQuote'] as const;
/** The last field is `provisioning_certification_key: BoundedVec<u8, 33>`. */
const withCertificationKey = ['tssAccount', 'x25519PublicKey', 'endpoint', bytes] as const;

/**
 * All known forms, oldest first; tests compare each with the metadata of its release. The records of v0.3.0 and v0.4.0
 * hold no quote, so no key server can be verified there.
 */
export const runtimeReleases: readonly RuntimeRelease[] = [
  { name: 'v0.3.0', specVersion: 300, serverInfo: withCertificationKey, measurements: 'AcceptedMrtdValues' },
  { name: 'v0.4.0', specVersion: 400, serverInfo: withCertificationKey, measurements: 'plain' },
  { name: 'the code after v0.4.0', specVersion: 400, serverInfo: withQuote, measurements: 'map' },
  { name: 'v0.5.0-rc.1', specVersion: 500, serverInfo: withQuote, measurements: 'map' },
];

/** Facts of the proven state from which its record layout is chosen. */
export interface FormEvidence {
  /** `System.LastRuntimeUpgrade`: the runtime that wrote this state. */
  readonly lastRuntimeUpgrade: Uint8Array | undefined;
  /** Whether there is a value at the plain key of `Parameters.AcceptedMeasurementValues`. */
  readonly hasPlainMeasurements: boolean;
}

const unknown = (observed: string): ProblemError =>
  new ProblemError(
    'CHAIN_SHAPE_UNKNOWN',
    `the chain's runtime is ${observed}, whose records cannot be read`,
    {
      field: 'System.LastRuntimeUpgrade',
      expected: runtimeReleases
        .filter(hasQuotes)
        .map(({ name, specVersion }) => `${SPEC_NAME} ${specVersion} (${name})`)
        .join(' or '),
      observed,
      hint: 'After an upgrade of the runtime a release of Latchkey that knows the new form is needed.',
    },
  );

const hasQuotes = ({ serverInfo }: RuntimeRelease): boolean => serverInfo.includes('tdxQuote');

/** SCALE `LastRuntimeUpgradeInfo`: compact version, name. */
function readVersion(value: Uint8Array): { readonly specVersion: number; readonly specName: string } {
  const reader = new ScaleReader(value);
  try {
    // The version is a compact integer, as the count of a list is.
    const specVersion = reader.count();
    const specName = Buffer.from(reader.byteVec()).toString('latin1');
    reader.end();
    return { specVersion, specName };
  } catch {
    throw unknown('of a version that does not decode');
  }
}

/**
 * The layout of a state that is read by proof. Metadata is not part of the state, so it cannot be proven, and forged
 * metadata could hide records that were; the version of the runtime can be proven.
 * @throws ProblemError CHAIN_SHAPE_UNKNOWN when no form with quotes fits.
 */
export function provenLayout({ hasPlainMeasurements, lastRuntimeUpgrade }: FormEvidence): RuntimeLayout {
  if (lastRuntimeUpgrade === undefined) throw unknown('of no stored version');
  const { specName, specVersion } = readVersion(lastRuntimeUpgrade);
  const ofVersion = runtimeReleases.filter((release) => release.specVersion === specVersion);
  if (specName !== SPEC_NAME || ofVersion.length === 0)
    throw unknown(`${JSON.stringify(specName)} ${specVersion}`);
  const fitting = ofVersion.filter(
    (release) => hasQuotes(release) && release.measurements === (hasPlainMeasurements ? 'plain' : 'map'),
  );
  const [release] = fitting;
  if (release === undefined)
    throw unknown(
      `${specName} ${specVersion} ${hasPlainMeasurements ? 'with plain measurements' : 'without quotes'}`,
    );
  return { serverInfo: release.serverInfo, entropyTssIndex: ENTROPY_TSS_INDEX, hasTimestamp: true };
}

/** Index of SupportedCvmServices::EntropyTss in all releases that have the map. */
export const ENTROPY_TSS_INDEX = 0;
