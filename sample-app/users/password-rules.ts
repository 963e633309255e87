/** ASVS 5.0 6.2.1 for a password that is not the only factor; a bank would ask for 15. */
const MIN_LENGTH = 8;

/** Characters that are not the user's own name, which is the first thing anyone tries. */
const MIN_OWN = 4;

export interface NewPassword {
  readonly name: string;
  readonly current: string;
  readonly next: string;
}

/**
 * What speaks against a new password, in words for the user; `undefined` if nothing does. The least
 * there is: a real service also asks a list of leaked passwords (ASVS 5.0 6.2.12).
 */
export function weaknessOf({ name, current, next }: NewPassword): string | undefined {
  if (next.length < MIN_LENGTH) return `A password has at least ${MIN_LENGTH} characters.`;
  if (next === current) return 'The new password is the old one.';
  const own = next.toLowerCase().replaceAll(name.toLowerCase(), '');
  return own.length < MIN_OWN ? 'A password is more than the name of its user.' : undefined;
}
