import { boolean, enumerated, integer, objectIdentifier, octetString, sequence } from './der-writer.ts';
import { oids } from './oids.ts';

/** What a PCK certificate says about its platform. */
export interface SgxFacts {
  /** 16 bytes. */
  readonly ppid: Uint8Array;
  /** The 16 component SVNs, 0 to 255 each. */
  readonly componentSvns: readonly number[];
  readonly pceSvn: number;
  /** 16 bytes; raw CPUSVN, not used by the TCB rule. */
  readonly cpuSvn: Uint8Array;
  /** 2 bytes. */
  readonly pceId: Uint8Array;
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  /** Only certificates of the Platform CA carry these, and so have 7 entries instead of 5. */
  readonly platformInstanceId?: Uint8Array;
}

/** DER content of the extension 1.2.840.113741.1.13.1 (Intel's "SGX PCK Certificate and CRL Profile"). */
export function sgxExtension(facts: SgxFacts): Uint8Array {
  const { platformInstanceId } = facts;
  return sequence(
    entry('1', octetString(facts.ppid)),
    entry('2', tcb(facts)),
    entry('3', octetString(facts.pceId)),
    entry('4', octetString(facts.fmspc)),
    // SGX type: standard for single-package processors, scalable for platforms.
    entry('5', enumerated(platformInstanceId === undefined ? 0 : 1)),
    ...(platformInstanceId === undefined
      ? []
      : [entry('6', octetString(platformInstanceId)), entry('7', platformConfiguration())]),
  );
}

const entry = (suffix: string, value: Uint8Array): Uint8Array =>
  sequence(objectIdentifier(`${oids.sgxExtension}.${suffix}`), value);

function tcb(facts: SgxFacts): Uint8Array {
  return sequence(
    ...facts.componentSvns.map((svn, index) => entry(`2.${index + 1}`, integer(svn))),
    entry('2.17', integer(facts.pceSvn)),
    entry('2.18', octetString(facts.cpuSvn)),
  );
}

function platformConfiguration(): Uint8Array {
  return sequence(entry('7.1', boolean(true)), entry('7.2', boolean(false)), entry('7.3', boolean(true)));
}
