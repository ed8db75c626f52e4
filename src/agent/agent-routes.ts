import type { AgentRoute } from './agent-route.ts';
import { backupRoutes } from './backup-routes.ts';
import { epochRoutes } from './epoch-routes.ts';
import { keyValueRoutes } from './key-value-routes.ts';
import { ritualConditionsRoutes } from './ritual-conditions-routes.ts';
import { ritualDecryptionRoute } from './ritual-decryption-route.ts';
import { ritualRoutes } from './ritual-routes.ts';
import { ritualStateRoutes } from './ritual-state-routes.ts';
import { secretStoreRoutes } from './secret-store-routes.ts';

/** Every route of the agent that needs the open store, in the order in which they are tried. */
export const agentRoutes: readonly AgentRoute[] = [
  ...keyValueRoutes,
  ...backupRoutes,
  ...ritualStateRoutes,
  ...ritualConditionsRoutes,
  ritualDecryptionRoute,
  ...ritualRoutes,
  ...epochRoutes,
  ...secretStoreRoutes,
];
