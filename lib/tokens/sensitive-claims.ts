import { isIP } from 'node:net';

import type { ClaimInput } from './claims.js';

/**
 * Finds claims that look like secrets or personal data. A JWT is signed, not hidden: whoever holds,
 * logs or proxies it can read it (RFC 7519 §12, OWASP WSTG-SESS-10).
 */

/** Words that make a claim's name sensitive, in any spelling: `cardNumber`, `card_numbers`, … */
const SENSITIVE_WORDS = [
  ['pwd', 'passphrase', 'passcode', 'userpass', 'pin', 'otp', 'totp', 'cookie'],
  ['apikey', 'accesskey', 'secretkey', 'accesstoken', 'refreshtoken', 'idtoken', 'csrftoken'],
  ['card', 'debitcard', 'ccnumber', 'ccnum', 'pan', 'cvv', 'cvc', 'iban', 'bic', 'accountnumber'],
  ['routingnumber', 'sortcode', 'salary', 'income', 'taxid', 'ssn', 'nin', 'nationalid'],
  ['socialsecurity', 'driverlicense', 'driverslicense', 'drivinglicence'],
  ['mail', 'phone', 'mobile', 'telephone', 'fax', 'address', 'street', 'postalcode'],
  ['zipcode', 'postcode', 'birthdate', 'birthday', 'dateofbirth', 'dob', 'gender', 'ethnicity'],
  ['religion', 'firstname', 'lastname', 'givenname', 'familyname', 'middlename', 'fullname'],
  ['surname', 'diagnosis', 'medical', 'healthrecord', 'bloodtype', 'biometric'],
  ['ipaddress', 'geolocation', 'latitude', 'longitude'],
].flat();

const WORDS: ReadonlySet<string> = new Set(SENSITIVE_WORDS);

/** Sensitive alone, and not as part of a name such as `tokenVersion`. */
const WHOLE_NAMES: ReadonlySet<string> = new Set(['token', 'tokens', 'jwt']);

/** Long enough to mean the same inside any other word: `userpassword`, `mycreditcardnumber`. */
const TELLING_PARTS =
  /password|passwd|secret(?!ar)|credential|privatekey|creditcard|cardnumber|email|phonenumber|passport/;

/** Longest text searched for an e-mail address or a number; longer ones are prose or data. */
const MAX_SEARCHED = 320;

const LOOKS_SENSITIVE: ReadonlyArray<(text: string) => boolean> = [
  (text) =>
    /[\p{L}\p{N}_.+-]@[\p{L}\p{N}-]{1,63}\.[\p{L}\p{N}-]{2}/u.test(text.slice(0, MAX_SEARCHED)),
  (text) => /-----BEGIN [A-Z ]{1,40}-----/.test(text),
  (text) => /(?:^|[\s"'=:])ey[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*/.test(text),
  (text) => /^\d{3}-\d{2}-\d{4}$/.test(text),
  (text) => /^\+\d[\d ().-]{7,20}$/.test(text),
  (text) => isIP(text) !== 0,
  (text) => text.length <= MAX_SEARCHED && (isCardNumber(text) || isIban(text)),
];

/** Whether a text has the form of a secret or of personal data, whatever it is called. */
export function looksSensitive(text: string): boolean {
  return LOOKS_SENSITIVE.some((test) => test(text));
}

/**
 * The path of the first claim that looks sensitive, such as `profile.email`, or `undefined`.
 * A name in `allowed`, or its path, is let through with everything below it.
 */
export function findSensitiveClaim(
  claims: { readonly [name: string]: ClaimInput | undefined },
  allowed: ReadonlySet<string>,
): string | undefined {
  for (const [name, value] of Object.entries(claims)) {
    const found = inspect(name, name, value, allowed);
    if (found !== undefined) return found;
  }
  return undefined;
}

function inspect(
  path: string,
  name: string,
  value: ClaimInput | undefined,
  allowed: ReadonlySet<string>,
): string | undefined {
  if (allowed.has(path)) return undefined;
  if (isSensitiveName(name)) return path;
  if (typeof value === 'string') return looksSensitive(value) ? path : undefined;
  if (typeof value === 'number') return isCardNumber(String(value)) ? path : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    // A list item has no name of its own; the list's name was looked at before.
    const itemName = Array.isArray(value) ? '' : key;
    const found = inspect(`${path}.${key}`, itemName, inner, allowed);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Splits a name into words and tries every run of up to three: `user_email_address`, `eMail`. */
function isSensitiveName(name: string): boolean {
  const words = name
    .slice(0, MAX_SEARCHED)
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
    .map((word) => word.replace(/\d+$/, ''));
  const whole = words.join('');
  if (TELLING_PARTS.test(whole) || WHOLE_NAMES.has(whole)) return true;
  return words.some((_, start) =>
    [1, 2, 3].some((length) => isSensitiveWord(words.slice(start, start + length).join(''))),
  );
}

function isSensitiveWord(word: string): boolean {
  return (
    WORDS.has(word) || WORDS.has(word.replace(/e?s$/, '')) || WORDS.has(word.replace(/s$/, ''))
  );
}

/** Lengths and prefixes of the large card networks: an identifier of 18 digits is no card. */
const CARD =
  /^(?:4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|[25]\d\d)\d{12})$/;

/** A payment card number (ISO/IEC 7812-1) with a right check digit (Luhn), in groups or not. */
function isCardNumber(text: string): boolean {
  const digits = text.replace(/[ -]/g, '');
  if (!CARD.test(digits)) return false;
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = Number(digits[digits.length - 1 - index]);
    const doubled = index % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** An international bank account number (ISO 13616) with right check digits. */
function isIban(text: string): boolean {
  const account = text.replaceAll(' ', '');
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(account)) return false;
  const digits = (account.slice(4) + account.slice(0, 4)).replace(/[A-Z]/g, (letter) =>
    String(parseInt(letter, 36)),
  );
  return BigInt(digits) % 97n === 1n;
}
