import { equalBytes } from '../bytes/concat.ts';
import type { AccountId, PlatformHash } from '../bytes/fixed-bytes.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { encodeSs58 } from '../bytes/ss58.ts';
import { RefusalError } from '../errors/latchkey-error.ts';
import { type PlatformLists, platformHash } from './platform-lists.ts';
import { hasAuthority, type PlatformPolicy, platformPolicyOf, type TrustSection } from './trust-section.ts';

/** A request for a key that exists. PPIDs of 16 bytes. */
export interface RecoveryRequest {
  readonly account: AccountId;
  /** PPID of the platform that the key is bound to. */
  readonly boundTo: Uint8Array;
  /** PPID that the quote of the request proves. */
  readonly ppid: Uint8Array;
}

/**
 * For whom lists count: machines that ask for keys, servers that have a slot, and servers that get one. They differ while
 * a delay lasts.
 */
export type FleetView = 'granting' | 'asking' | 'enrolling';

/** A server that is to get a slot, has one that a recovery asks for, or has one that a running node counts. */
export type ServerRole = 'new' | 'holder' | 'kept';

/**
 * Which platforms get keys, and which may hold them. A quote proves the platform by its PCK certificate: the owner of
 * an extracted attestation key can quote any measurement, and only that one PPID.
 */
export class PlatformRules {
  readonly policy: PlatformPolicy;
  readonly #lists: (view: FleetView) => PlatformLists;
  readonly #signer: string;

  /** @param lists what the fleet says now; asked for each decision. */
  constructor(trust: TrustSection, lists: (view: FleetView) => PlatformLists) {
    this.policy = platformPolicyOf(trust);
    this.#lists = lists;
    this.#signer = hasAuthority(trust)
      ? 'the keys of trust.authority have to sign it (`latchkey fleet draft`, `latchkey fleet sign`)'
      : 'nobody can sign it, because the trust section has no trust.authority';
  }

  /**
   * Judges the platform of any request. @param ppid 16 bytes.
   * @throws RefusalError PLATFORM_REVOKED.
   */
  judgeRequest(ppid: Uint8Array): void {
    this.#requireNotRevoked(platformHash(ppid), 'this platform');
  }

  /**
   * Judges a platform that wants a new key. @param ppid 16 bytes.
   * @throws RefusalError PLATFORM_REVOKED, PLATFORM_NOT_ENDORSED.
   */
  judgeNewKey(ppid: Uint8Array): void {
    this.judgeRequest(ppid);
    if (this.policy.clients === 'endorsed') this.#requireEndorsed(platformHash(ppid), 'this platform');
  }

  /**
   * Judges a platform that wants a key that exists. To be asked only once the request has proved that the key is its
   * own: the refusal names the platform that the key is bound to.
   * @returns `move` when the key is bound to another platform and a move allows this one.
   * @throws RefusalError PLATFORM_REVOKED, PLATFORM_NOT_ENDORSED, PLATFORM_REFUSED.
   */
  judgeRecovery({ account, boundTo, ppid }: RecoveryRequest): 'stays' | 'move' {
    this.judgeRequest(ppid);
    if (equalBytes(boundTo, ppid) && this.policy.recover !== 'endorsed') return 'stays';
    const to = platformHash(ppid);
    switch (this.policy.recover) {
      case 'any':
        return 'stays';
      case 'endorsed':
        this.#requireEndorsed(to, 'this platform');
        return 'stays';
      case 'bound':
        this.#requireMove(account, platformHash(boundTo), to);
        return 'move';
    }
  }

  /**
   * Judges the platform of a server that is to get a slot, or to give a key back. @param ppid 16 bytes.
   * @param role a holder may be revoked or without endorsement: its slots count up to a limit ({@link countsInPart}), or
   *   a revocation, and an endorsement that ends, would lose stores. `kept`: whether its slot counts as live.
   * @throws RefusalError PLATFORM_REVOKED, PLATFORM_NOT_ENDORSED.
   */
  judgeServer(ppid: Uint8Array, role: ServerRole): void {
    if (role === 'holder') return;
    const platform = platformHash(ppid);
    const lists = this.#lists(role === 'new' ? 'enrolling' : 'asking');
    this.#requireNotRevoked(platform, 'the platform of this server', lists);
    if (this.policy.servers === 'endorsed')
      this.#requireEndorsed(platform, 'the platform of this server', lists);
  }

  /** What a server says of a slot: the one platform that gets its key back; `undefined` when there is not one alone. */
  bindingOf(boundTo: Uint8Array): PlatformHash | undefined {
    return this.policy.recover === 'bound' ? platformHash(boundTo) : undefined;
  }

  /**
   * Why a machine would get none of its keys back if it restarted now, whatever they are bound to; `undefined` when it
   * would. @param ppid of the machine, 16 bytes.
   */
  restartRefusal(ppid: Uint8Array): string | undefined {
    try {
      this.judgeRequest(ppid);
      if (this.policy.recover === 'endorsed') this.#requireEndorsed(platformHash(ppid), 'this platform');
      return undefined;
    } catch (refusal) {
      if (!(refusal instanceof RefusalError)) throw refusal;
      return `${refusal.code}: ${refusal.message}`;
    }
  }

  /**
   * Whether the fleet does not vouch for the platform of a server: slots on all such platforms together open no store
   * (`keyslots/open-generation.ts`). @param ppid 16 bytes.
   */
  countsInPart(ppid: Uint8Array): boolean {
    const platform = platformHash(ppid);
    const lists = this.#lists('asking');
    if (lists.isRevoked(platform)) return true;
    return this.policy.servers === 'endorsed' && lists.endorsementOf(platform) === undefined;
  }

  #requireNotRevoked(platform: PlatformHash, whose: string, lists = this.#lists('granting')): void {
    if (!lists.isRevoked(platform)) return;
    throw this.#refusal('PLATFORM_REVOKED', {
      observed: `${whose} is ${toPrefixedHex(platform)}, which is revoked`,
      expected: 'a platform that the fleet manifest does not revoke',
      remedy: 'a manifest without this revocation',
    });
  }

  #requireEndorsed(platform: PlatformHash, whose: string, lists = this.#lists('granting')): void {
    if (lists.endorsementOf(platform) !== undefined) return;
    throw this.#refusal('PLATFORM_NOT_ENDORSED', {
      observed: `${whose} is ${toPrefixedHex(platform)}, which is not endorsed`,
      expected: 'a platform that the fleet manifest endorses',
      remedy: 'an endorsement of it',
    });
  }

  #requireMove(account: AccountId, from: PlatformHash, to: PlatformHash): void {
    if (this.#lists('granting').allowsMove(account, from, to)) return;
    throw this.#refusal('PLATFORM_REFUSED', {
      observed: `this platform is ${toPrefixedHex(to)}`,
      expected: `platform ${toPrefixedHex(from)}, which the key is bound to`,
      remedy: `a move of ${encodeSs58(account)} from that platform to this one`,
    });
  }

  /** All in the message: a node shows the message of a server that refused it, and nothing else. */
  #refusal(
    code: 'PLATFORM_REVOKED' | 'PLATFORM_NOT_ENDORSED' | 'PLATFORM_REFUSED',
    {
      observed,
      expected,
      remedy,
    }: { readonly observed: string; readonly expected: string; readonly remedy: string },
  ): RefusalError {
    const hint = `${remedy} allows it; ${this.#signer}`;
    return new RefusalError(code, `${observed}; expected ${expected}. ${hint}`, {
      field: 'quote PPID',
      expected,
      observed,
      hint,
    });
  }
}
