import { parseCookie } from 'cookie';

import { ambiguous } from '../guard/credentials.js';

/**
 * Reads one cookie from the `Cookie` header: by its exact name, and as it was written. Names are not
 * freed of anything but spaces and tabs: other white space before `__Host-` gets past the browsers'
 * check of the prefix.
 */

/** What is in our cookies needs no encoding, and has one spelling. */
const AS_WRITTEN = { decode: (text: string): string => text };

/**
 * `undefined` if there is none.
 * @throws AccessError `ERR_ACCESS_AMBIGUOUS_CREDENTIALS` if there are several of the name
 */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined || !header.includes(name)) return undefined;
  let found: string | undefined;
  // One by one: of several with one name the parser keeps the first, other parsers the last.
  for (const pair of header.split(';')) {
    const value = pair.includes(name) ? parseCookie(pair, AS_WRITTEN)[name] : undefined;
    if (value === undefined) continue;
    if (found !== undefined) throw ambiguous('more than one cookie of a name');
    found = value;
  }
  return found;
}
