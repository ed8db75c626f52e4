import { auditCodes } from './codes/audit.ts';
import { bootCodes } from './codes/boot.ts';
import { chainCodes } from './codes/chain.ts';
import { channelCodes } from './codes/channel.ts';
import { collateralCodes } from './codes/collateral.ts';
import { configCodes } from './codes/config.ts';
import { custodyCodes } from './codes/custody.ts';
import { dataServiceCodes } from './codes/data-services.ts';
import { entropyCodes } from './codes/entropy.ts';
import { fleetCodes } from './codes/fleet.ts';
import { httpCodes } from './codes/http.ts';
import { keyserverCodes } from './codes/keyserver.ts';
import { ringCodes } from './codes/ring.ts';
import { secretsCodes } from './codes/secrets.ts';
import { storeCodes } from './codes/store.ts';
import { tdxCodes } from './codes/tdx.ts';
import { transitCodes } from './codes/transit.ts';

/**
 * Every error code, with the HTTP status it maps to and one plain sentence. Each room keeps its own part under
 * `codes/`; `docs/errors.md` lists them all, and a test compares the two.
 */
export const errorCodes = {
  ...httpCodes,
  ...tdxCodes,
  ...collateralCodes,
  ...chainCodes,
  ...keyserverCodes,
  ...fleetCodes,
  ...storeCodes,
  ...bootCodes,
  ...custodyCodes,
  ...configCodes,
  ...dataServiceCodes,
  ...ringCodes,
  ...secretsCodes,
  ...channelCodes,
  ...entropyCodes,
  ...auditCodes,
  ...transitCodes,
} as const;

/** Union of all codes. */
export type ErrorCode = keyof typeof errorCodes;
