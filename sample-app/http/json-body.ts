import { BadRequestException } from '@nestjs/common';

/**
 * Reads the members of a JSON body: these and no others, because what is asked for and not
 * understood must not be ignored. The answer never says what was wrong, and never quotes it.
 */
export function readMembers<const Name extends string>(
  body: unknown,
  names: readonly Name[],
): Readonly<Record<Name, unknown>> {
  if (namesIn(body).toSorted().join() !== names.toSorted().join()) throw malformed();
  return body as Readonly<Record<Name, unknown>>;
}

/** The names of the members; none for what is no object. */
export function namesIn(body: unknown): readonly string[] {
  return typeof body === 'object' && body !== null && !Array.isArray(body) ? Object.keys(body) : [];
}

export function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= maxLength;
}

export function malformed(): BadRequestException {
  return new BadRequestException({ error: 'invalid_request' });
}
