import { MAX_MANIFEST_FILE_BYTES, type ManifestFile, readManifestFile } from '../../fleet/manifest-file.ts';
import { readTextFile } from '../shared/user-file.ts';

/** Reads a manifest file. @throws ProblemError STORE_FILE_UNREADABLE, EvidenceError FLEET_FILE_MALFORMED. */
export const readManifestAt = async (path: string): Promise<ManifestFile> =>
  readManifestFile(await readTextFile(path, 'manifest', MAX_MANIFEST_FILE_BYTES));
