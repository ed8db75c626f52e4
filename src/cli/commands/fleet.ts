import { Command } from 'commander';
import { addKeygen } from '../fleet/keygen.ts';
import { addDraft, addShow, addSign } from '../fleet/papers.ts';
import { addPublish } from '../fleet/publish.ts';
import { addStatus } from '../fleet/status/status.ts';
import { addVerify } from '../fleet/verify.ts';

/** `latchkey fleet`: the signed manifest that says what may change in a fleet. Only `publish` and `status` talk to nodes. */
export function fleetCommand(): Command {
  const command = new Command('fleet').description(
    'the signed manifest that says what may change in a fleet, and the state of its nodes',
  );
  for (const add of [addKeygen, addDraft, addSign, addVerify, addShow, addPublish, addStatus]) add(command);
  return command;
}
