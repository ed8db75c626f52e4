import type { Command } from 'commander';
import { EvidenceError } from '../../errors/latchkey-error.ts';
import type { Conditions } from '../../rituals/conditions.ts';
import { print, type StoreIo } from '../store/io.ts';
import { booleanArgument, type ConfigOption, configured, integerArgument, withDatastore } from './session.ts';

interface StatedOptions extends ConfigOption {
  readonly authorized?: string;
  readonly paid?: string;
  readonly expiresAt?: string;
}

/** Adds `conditions get`, `conditions set` and `conditions remove`. */
export function addConditionsCommands(parent: Command, io: StoreIo): void {
  const conditions = parent.command('conditions').description('under which conditions a ritual may be used');
  configured(conditions, 'get <id>', 'print the conditions of a ritual as JSON').action(
    async (id: string, options: ConfigOption) => {
      const ritual = integerArgument(id, 'id');
      const found = await withDatastore(options, (_datastore, stored) => stored.get(ritual));
      if (found === undefined) throw nothingStated(ritual);
      await print(io.stdout, `${JSON.stringify(found)}\n`);
    },
  );
  configured(conditions, 'set <id>', 'replace the conditions of a ritual by those that are given')
    .option('--authorized <true|false>', 'false refuses every operation')
    .option('--paid <true|false>', 'false refuses storing and retrieving')
    .option('--expires-at <unix-seconds>', 'from then on storing and retrieving are refused')
    .action(async (id: string, options: StatedOptions) => {
      const [ritual, stated] = [integerArgument(id, 'id'), statedConditions(options)];
      await withDatastore(options, (_datastore, stored) => stored.set(ritual, stated));
      await print(io.stdout, `${JSON.stringify(stated)}\n`);
    });
  configured(conditions, 'remove <id>', 'remove all conditions of a ritual').action(
    async (id: string, options: ConfigOption) => {
      const ritual = integerArgument(id, 'id');
      const removed = await withDatastore(options, (_datastore, stored) => stored.remove(ritual));
      if (!removed) throw nothingStated(ritual);
      await print(io.stdout, 'removed\n');
    },
  );
}

function statedConditions({ authorized, paid, expiresAt }: StatedOptions): Conditions {
  if (authorized === undefined && paid === undefined && expiresAt === undefined) {
    throw new EvidenceError('FIELD_INVALID', 'no condition is given', {
      field: 'conditions',
      expected: '--authorized, --paid or --expires-at',
      hint: 'use `latchkey rituals conditions remove` to remove all',
    });
  }
  return {
    ...(authorized === undefined ? {} : { authorized: booleanArgument(authorized, 'authorized') }),
    ...(paid === undefined ? {} : { paid: booleanArgument(paid, 'paid') }),
    ...(expiresAt === undefined ? {} : { expiresAt: integerArgument(expiresAt, 'expires-at') }),
  };
}

const nothingStated = (id: number): EvidenceError =>
  new EvidenceError('RITUAL_ENTRY_NOT_FOUND', `ritual ${id} has no conditions`, { field: 'conditions' });
