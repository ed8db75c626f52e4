import type { OpenNode } from '../boot/node/open-node.ts';
import { toPrefixedHex } from '../bytes/hex.ts';
import { deriveKey } from '../crypto/hkdf.ts';

const LABEL = 'latchkey/v1/rekey/store-key';

/** Names the store key in force without revealing it. */
export const storeKeyName = ({ storeKey }: Pick<OpenNode, 'storeKey'>): string =>
  toPrefixedHex(deriveKey(storeKey.reveal(), LABEL));
