import type { Context } from 'hono';
import { z } from 'zod';
import { toBase64 } from '../../src/bytes/base64.ts';
import { tryFromHex } from '../../src/bytes/hex.ts';
import { EvidenceError } from '../../src/errors/latchkey-error.ts';
import type { DevelopmentPki } from '../development-pki.ts';
import { measurementLengths, measurementNames, type TdMeasurements } from '../measurements.ts';

/** `0x` and exactly that many bytes of hex. */
const hexOf = (byteLength: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-fA-F]{${byteLength * 2}}$`), `0x and ${byteLength * 2} hex digits`)
    .transform((text) => tryFromHex(text) ?? new Uint8Array());

const measurementsSchema = z.strictObject({
  mrTd: hexOf(measurementLengths.mrTd).optional(),
  mrConfigId: hexOf(measurementLengths.mrConfigId).optional(),
  mrOwner: hexOf(measurementLengths.mrOwner).optional(),
  mrOwnerConfig: hexOf(measurementLengths.mrOwnerConfig).optional(),
  rtMr0: hexOf(measurementLengths.rtMr0).optional(),
  rtMr1: hexOf(measurementLengths.rtMr1).optional(),
  rtMr2: hexOf(measurementLengths.rtMr2).optional(),
  rtMr3: hexOf(measurementLengths.rtMr3).optional(),
  tdAttributes: hexOf(measurementLengths.tdAttributes).optional(),
  xfam: hexOf(measurementLengths.xfam).optional(),
});

const requestSchema = z.strictObject({
  reportData: hexOf(64),
  version: z.union([z.literal(4), z.literal(5)]).optional(),
  platform: z.int().min(0).max(0xffff_ffff).optional(),
  measurements: measurementsSchema.optional(),
});

/**
 * `POST /quote`: signs a quote that says what the caller wants it to say.
 * @throws EvidenceError UNSUPPORTED_MEDIA_TYPE, BODY_NOT_JSON or FIELD_INVALID naming the field.
 */
export async function answerQuote(
  context: Context,
  pki: DevelopmentPki,
  defaults: Partial<TdMeasurements>,
): Promise<Response> {
  const request = parseRequest(await readJson(context));
  const quote = pki.quote({
    reportData: request.reportData,
    version: request.version ?? 4,
    platform: request.platform ?? 0,
    body: { ...defaults, ...withoutUndefined(request.measurements ?? {}) },
  });
  return context.json({ quote: toBase64(quote) });
}

async function readJson(context: Context): Promise<unknown> {
  const mediaType = context.req.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (mediaType !== 'application/json') {
    throw new EvidenceError('UNSUPPORTED_MEDIA_TYPE', 'content-type must be application/json', {
      field: 'content-type',
      expected: 'application/json',
      observed: mediaType ?? 'none',
    });
  }
  const text = await context.req.text();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EvidenceError('BODY_NOT_JSON', 'the body is not valid JSON', { cause });
  }
}

function parseRequest(body: unknown): z.infer<typeof requestSchema> {
  const parsed = requestSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const unknownKeys = issue?.code === 'unrecognized_keys' ? issue.keys : [];
  const field = [...(issue?.path ?? []), ...unknownKeys.slice(0, 1)].join('.') || 'body';
  throw new EvidenceError('FIELD_INVALID', `${field}: ${issue?.message ?? 'invalid'}`, { field });
}

/** A key that is present but undefined would hide the default below it. */
function withoutUndefined(measurements: z.infer<typeof measurementsSchema>): Partial<TdMeasurements> {
  const chosen: { -readonly [Name in keyof TdMeasurements]?: TdMeasurements[Name] } = {};
  for (const name of measurementNames) {
    const value = measurements[name];
    if (value !== undefined) chosen[name] = value;
  }
  return chosen;
}
