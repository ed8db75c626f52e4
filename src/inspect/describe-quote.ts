import { toHex } from '../bytes/hex.ts';
import { LatchkeyError } from '../errors/latchkey-error.ts';
import { peekPckChain } from '../tdx/pck-chain.ts';
import type { Quote } from '../tdx/quote.ts';
import { readQeReport } from '../tdx/quoting-enclave.ts';
import { describeTdAttributes } from '../tdx/td-attributes.ts';

/** Fields by their names in Intel's terms. */
type Fields = Readonly<Record<string, unknown>>;

/** Every field of a quote in Intel's terms, grouped; nothing is verified. */
export function describeQuote(quote: Quote): Readonly<Record<string, Fields>> {
  const { header, body, qe } = quote;
  const report = readQeReport(qe.report);
  return {
    header: {
      version: header.version,
      attestationKeyType: `${header.attestationKeyType} (ECDSA-256-with-P-256 curve)`,
      teeType: `0x${header.teeType.toString(16)} (TDX)`,
      qeVendorId: toHex(header.qeVendorId),
      userData: toHex(header.userData),
    },
    tdReport: {
      version: reportVersion[quote.bodyType],
      ...hexFields(body),
      ...hexFields(body.extension ?? {}),
      tdAttributesBits: describeTdAttributes(body.tdAttributes),
    },
    signature: {
      signature: toHex(quote.signature),
      attestationKey: toHex(quote.attestationKey),
    },
    quotingEnclave: {
      ...hexFields(report),
      isvProdId: report.isvProdId,
      isvSvn: report.isvSvn,
      reportSignature: toHex(qe.reportSignature),
      authenticationData: toHex(qe.authenticationData),
    },
    pckCertificate: describePck(quote),
    rest: {
      certificationDataType: quote.certification.type,
      certificationDataBytes: quote.certification.data.length,
      trailingZeroBytes: quote.trailingByteLength,
    },
  };
}

/** The claims of the PCK certificate; a chain that cannot be read does not keep the rest from being shown. */
function describePck(quote: Quote): Fields {
  try {
    const { leaf, sgx, caType } = peekPckChain(quote.certificateChain);
    return {
      subject: leaf.subject.commonName,
      issuer: leaf.issuer.commonName,
      serialNumber: leaf.serialNumber,
      notBefore: new Date(leaf.notBeforeMs).toISOString(),
      notAfter: new Date(leaf.notAfterMs).toISOString(),
      ca: caType,
      ppid: toHex(sgx.ppid),
      fmspc: toHex(sgx.fmspc),
      pceId: toHex(sgx.pceId),
      cpuSvn: toHex(sgx.cpuSvn),
      pceSvn: sgx.pceSvn,
      tcbComponents: [...sgx.tcbComponents].join(' '),
      sgxType: sgx.sgxType,
      ...(sgx.platform && { ...sgx.platform, instanceId: toHex(sgx.platform.instanceId) }),
    };
  } catch (error) {
    if (error instanceof LatchkeyError) return { unreadable: `${error.code}: ${error.message}` };
    throw error;
  }
}

/** Names of the TD reports by body type. */
export const reportVersion: Readonly<Record<Quote['bodyType'], string>> = {
  2: '1.0',
  3: '1.5',
  4: '1.5, extended',
};

/** Every byte field of an object as hex. */
export const hexFields = (fields: object): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) =>
      value instanceof Uint8Array ? [[name, toHex(value)]] : [],
    ),
  );
