import type { Certificate } from '../der/certificate.ts';
import { DerReader, tags } from '../der/der-reader.ts';

/** Which CA issued a PCK certificate; each has its own revocation list. */
export type PckCaType = 'platform' | 'processor';

/** The SGX extension of a PCK certificate (Intel SGX PCK Certificate and CRL Profile Specification, section 1.3.5). */
export interface SgxExtension {
  /** 16 bytes: the platform's id. */
  readonly ppid: Uint8Array;
  /** 16 SVNs, each 0 to 255. */
  readonly tcbComponents: Uint8Array;
  readonly pceSvn: number;
  /** 16 bytes. */
  readonly cpuSvn: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 6 bytes: family, model, stepping, platform type and custom SKU. */
  readonly fmspc: Uint8Array;
  readonly sgxType: 'standard' | 'scalable' | 'scalable-with-integrity';
  /** What only a platform CA states. */
  readonly platform: PlatformConfiguration | undefined;
}

/** The part of multi-package platforms. */
export interface PlatformConfiguration {
  /** 16 bytes. */
  readonly instanceId: Uint8Array;
  readonly dynamicPlatform: boolean;
  readonly cachedKeys: boolean;
  readonly smtEnabled: boolean;
}

const SGX_EXTENSION = '1.2.840.113741.1.13.1';
const PREFIX = `${SGX_EXTENSION}.`;
const COMPONENTS = 16;
const sgxTypes = ['standard', 'scalable', 'scalable-with-integrity'] as const;

/** Entries by the part of their OID behind {@link SGX_EXTENSION}; each reader stands before its value. */
type Entries = ReadonlyMap<string, DerReader>;

/**
 * Reads the extension: exactly the five entries of a processor CA or the seven of a platform CA. Like Intel's
 * verifier it goes by their OIDs, not by their order.
 * @throws EvidenceError PCK_EXTENSION_INVALID.
 */
export function readSgxExtension(leaf: Certificate, ca: PckCaType): SgxExtension {
  const outer = new DerReader(leaf.extensions.get(SGX_EXTENSION) ?? new Uint8Array(0), {
    code: 'PCK_EXTENSION_INVALID',
    document: 'SGX extension of the PCK certificate',
  });
  const list = outer.enter();
  outer.end();
  const entries = readEntries(list, ca === 'platform' ? 7 : 5);
  return {
    ppid: readValue(list, entries, '1', (entry) => entry.octetString(16)),
    ...readValue(list, entries, '2', readTcb),
    pceId: readValue(list, entries, '3', (entry) => entry.octetString(2)),
    fmspc: readValue(list, entries, '4', (entry) => entry.octetString(6)),
    sgxType: readValue(list, entries, '5', readSgxType),
    platform: ca === 'platform' ? readPlatform(list, entries) : undefined,
  };
}

/** Reads SEQUENCE OF SEQUENCE { OID, value }, each OID once. */
function readEntries(list: DerReader, count: number): Entries {
  const entries = new Map<string, DerReader>();
  while (list.hasMore) {
    const entry = list.enter();
    const oid = entry.oid();
    const suffix = oid.startsWith(PREFIX) ? oid.slice(PREFIX.length) : entry.fail(`${PREFIX}…`, oid);
    if (entries.has(suffix)) list.fail('each entry once', `${oid} twice`);
    entries.set(suffix, entry);
  }
  if (entries.size !== count) list.fail(`${count} entries`, `${entries.size}`);
  return entries;
}

function readValue<Value>(
  list: DerReader,
  entries: Entries,
  suffix: string,
  read: (entry: DerReader) => Value,
): Value {
  const entry = entries.get(suffix) ?? list.fail(`${PREFIX}${suffix}`, 'none');
  const value = read(entry);
  entry.end();
  return value;
}

function readTcb(entry: DerReader): Pick<SgxExtension, 'tcbComponents' | 'pceSvn' | 'cpuSvn'> {
  const list = entry.enter();
  const entries = readEntries(list, COMPONENTS + 2);
  const tcbComponents = new Uint8Array(COMPONENTS);
  for (let index = 0; index < COMPONENTS; index++) {
    tcbComponents[index] = readValue(list, entries, `2.${index + 1}`, (svn) => svn.smallInteger(255));
  }
  return {
    tcbComponents,
    pceSvn: readValue(list, entries, '2.17', (svn) => svn.smallInteger(0xffff)),
    cpuSvn: readValue(list, entries, '2.18', (svn) => svn.octetString(16)),
  };
}

function readSgxType(entry: DerReader): SgxExtension['sgxType'] {
  const value = entry.smallInteger(255, tags.enumerated);
  return sgxTypes[value] ?? entry.fail('an SGX type of 0 to 2', `${value}`);
}

function readPlatform(list: DerReader, entries: Entries): PlatformConfiguration {
  const flags = (entry: DerReader): Omit<PlatformConfiguration, 'instanceId'> => {
    const flagList = entry.enter();
    const flagEntries = readEntries(flagList, 3);
    const flag = (suffix: string): boolean =>
      readValue(flagList, flagEntries, suffix, (value) => value.boolean());
    return { dynamicPlatform: flag('7.1'), cachedKeys: flag('7.2'), smtEnabled: flag('7.3') };
  };
  return {
    instanceId: readValue(list, entries, '6', (entry) => entry.octetString(16)),
    ...readValue(list, entries, '7', flags),
  };
}
