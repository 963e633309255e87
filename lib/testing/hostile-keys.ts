/** Keys that break what joins, parses, interpolates or indexes by them. All within the ports' limits. */
export const HOSTILE_KEYS: readonly string[] = [
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  '0',
  'null',
  'undefined',
  ' ',
  'a b',
  'a\nb',
  'a\r\nSET b c\r\n',
  'a\0b',
  'a:b',
  'a:b:c',
  '{a}',
  '{a}b',
  '}{',
  '*',
  'a*',
  '[a-z]?',
  '../../a',
  'a/b',
  '%2e%2e',
  "'; DROP TABLE a; --",
  '"quoted"',
  '$where',
  'a.b',
  'ä',
  // The same letter to a reader, two keys to a machine: composed and decomposed.
  'a\u0308',
  'A',
  'a',
  ' a',
  'a ',
  '\u{1f511}',
  '\u202ea',
  'x'.repeat(511),
  'x'.repeat(512),
];

/** Keys outside the limits: a store may refuse them, or must tell them apart. */
export const KEYS_OUT_OF_BOUNDS: readonly string[] = ['', 'x'.repeat(513), 'x'.repeat(100_000)];

/** What a call answered, or `undefined` if it was refused. */
export async function unlessRefused<Answer>(
  call: () => Promise<Answer>,
): Promise<Answer | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
