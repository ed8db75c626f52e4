import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Finding } from './finding.ts';

/** What a node keeps in its data folder; docs/store-format.md. */
const kept = ['', 'node', 'node/keyslots', 'node/store'] as const;

const modeOf = ({ mode }: Stats): string => (mode & 0o777).toString(8).padStart(4, '0');
/** Follows links: a link has no mode of its own, and a data folder may be one. */
const lookAt = (path: string): Promise<Stats | undefined> => stat(path).catch(() => undefined);
const wrong = (text: string, advice: string): Finding => ({
  check: 'permissions',
  level: 'wrong',
  text,
  advice,
});

/** Who may change the files of a node, and who may speak with it. */
export async function permissionFindings(
  dataFolder: string,
  socketPath: string,
): Promise<readonly Finding[]> {
  const problems = [...(await folderProblems(dataFolder)), ...(await socketProblems(socketPath))];
  if (problems.length > 0) return problems;
  const found = await lookAt(dataFolder);
  const text = found === undefined ? 'is not there yet' : `has mode ${modeOf(found)}`;
  return [{ check: 'permissions', level: 'good', text: `${dataFolder} ${text}` }];
}

async function folderProblems(dataFolder: string): Promise<readonly Finding[]> {
  const top = await lookAt(dataFolder);
  const problems: Finding[] = [];
  for (const name of kept) {
    const path = join(dataFolder, name);
    const found = await lookAt(path);
    if (found === undefined) continue;
    if ((found.mode & 0o022) !== 0) {
      const text = `${path} has mode ${modeOf(found)}: other users can replace ${found.isDirectory() ? 'files in it' : 'it'}`;
      problems.push(wrong(text, `chmod go-w ${path}`));
    }
    if (top !== undefined && found.uid !== top.uid && found.uid !== 0) {
      const text = `${path} belongs to user ${found.uid}, and the data folder to user ${top.uid}`;
      problems.push(wrong(text, `chown -R ${top.uid} ${dataFolder}`));
    }
  }
  return problems;
}

/** A user who opens the socket has all rights of the agent; one who can replace it can pretend to be the node. */
async function socketProblems(socketPath: string): Promise<readonly Finding[]> {
  const socket = await lookAt(socketPath);
  const folder = dirname(socketPath);
  const around = await lookAt(folder);
  const isOpen = socket?.isSocket() === true && (socket.mode & 0o077) !== 0;
  // In a folder with the sticky bit only the owner of a file replaces it.
  const isReplaceable = around !== undefined && (around.mode & 0o022) !== 0 && (around.mode & 0o1000) === 0;
  return [
    ...(isOpen && socket !== undefined
      ? [
          wrong(
            `${socketPath} has mode ${modeOf(socket)}: other users can read and write the store through it`,
            `chmod 600 ${socketPath}, or restart the node`,
          ),
        ]
      : []),
    ...(isReplaceable && around !== undefined
      ? [
          wrong(
            `${folder} has mode ${modeOf(around)}: other users can put a socket of their own there`,
            `chmod go-w ${folder}`,
          ),
        ]
      : []),
  ];
}
