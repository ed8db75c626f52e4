import { Command } from 'commander';
import { addCareCommands } from '../store/care.ts';
import { processIo, type StoreIo } from '../store/io.ts';
import { addRecordCommands } from '../store/records.ts';
import { addSafekeepingCommands } from '../store/safekeeping.ts';
import { addTransferCommands } from '../store/transfer.ts';

/** `latchkey store …`: a sealed store that a password opens, for development, scripts and migration. */
export function storeCommand(io: StoreIo = processIo()): Command {
  const store = new Command('store').description('work on a sealed store that a password opens');
  addCareCommands(store, io);
  addRecordCommands(store, io);
  addTransferCommands(store, io);
  addSafekeepingCommands(store, io);
  return store;
}
