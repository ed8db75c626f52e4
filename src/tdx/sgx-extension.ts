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
const COMPONENTS = 16;
const sgxTypes = ['standard', 'scalable', 'scalable-with-integrity'] as const;

/**
 * Reads the extension: exactly the five entries of a processor CA or the seven of a platform CA, in Intel's order.
 * @throws EvidenceError PCK_EXTENSION_INVALID.
 */
export function readSgxExtension(leaf: Certificate, ca: PckCaType): SgxExtension {
  const context = {
    code: 'PCK_EXTENSION_INVALID',
    document: 'SGX extension of the PCK certificate',
  } as const;
  const extension = leaf.extensions.get(SGX_EXTENSION);
  const outer = new DerReader(extension?.value ?? new Uint8Array(0), context);
  const entries = outer.enter();
  outer.end();
  const ppid = readEntry(entries, '1', (entry) => entry.octetString(16));
  const tcb = readEntry(entries, '2', readTcb);
  const pceId = readEntry(entries, '3', (entry) => entry.octetString(2));
  const fmspc = readEntry(entries, '4', (entry) => entry.octetString(6));
  const sgxType = readEntry(entries, '5', readSgxType);
  const platform = ca === 'platform' ? readPlatform(entries) : undefined;
  entries.end();
  return { ppid, ...tcb, pceId, fmspc, sgxType, platform };
}

/** Reads SEQUENCE { OID SGX_EXTENSION.suffix, value }. */
function readEntry<Value>(entries: DerReader, suffix: string, read: (entry: DerReader) => Value): Value {
  const entry = entries.enter();
  const oid = entry.oid();
  const wanted = `${SGX_EXTENSION}.${suffix}`;
  if (oid !== wanted) entries.fail(wanted, oid);
  const value = read(entry);
  entry.end();
  return value;
}

function readTcb(entry: DerReader): Pick<SgxExtension, 'tcbComponents' | 'pceSvn' | 'cpuSvn'> {
  const list = entry.enter();
  const tcbComponents = new Uint8Array(COMPONENTS);
  for (let index = 0; index < COMPONENTS; index++) {
    tcbComponents[index] = readEntry(list, `2.${index + 1}`, (component) => component.smallInteger(255));
  }
  const pceSvn = readEntry(list, '2.17', (component) => component.smallInteger(0xffff));
  const cpuSvn = readEntry(list, '2.18', (component) => component.octetString(16));
  list.end();
  return { tcbComponents, pceSvn, cpuSvn };
}

function readSgxType(entry: DerReader): SgxExtension['sgxType'] {
  const value = entry.smallInteger(255, tags.enumerated);
  return sgxTypes[value] ?? entry.fail('an SGX type of 0 to 2', `${value}`);
}

function readPlatform(entries: DerReader): PlatformConfiguration {
  const instanceId = readEntry(entries, '6', (entry) => entry.octetString(16));
  const configuration = readEntry(entries, '7', (entry) => {
    const list = entry.enter();
    const dynamicPlatform = readEntry(list, '7.1', (flag) => flag.boolean());
    const cachedKeys = readEntry(list, '7.2', (flag) => flag.boolean());
    const smtEnabled = readEntry(list, '7.3', (flag) => flag.boolean());
    list.end();
    return { dynamicPlatform, cachedKeys, smtEnabled };
  });
  return { instanceId, ...configuration };
}
