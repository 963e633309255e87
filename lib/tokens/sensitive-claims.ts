import type { ClaimInput } from './claims.js';

/**
 * Finds claims that look like secrets or personal data. A JWT is signed, not hidden: whoever holds,
 * logs or proxies it can read it (RFC 7519 §12, OWASP WSTG-SESS-10).
 */

/** Words that make a claim's name sensitive, whatever the spelling: `cardNumber`, `card_number`, … */
const SENSITIVE_WORDS = [
  ['password', 'passwd', 'pwd', 'passphrase', 'passcode', 'pin', 'otp', 'totp'],
  ['secret', 'credential', 'credentials', 'apikey', 'privatekey', 'accesskey', 'secretkey'],
  ['accesstoken', 'refreshtoken', 'idtoken', 'sessiontoken', 'csrftoken', 'cookie'],
  ['card', 'cardnumber', 'creditcard', 'debitcard', 'pan', 'cvv', 'cvc', 'cvv2', 'iban', 'bic'],
  ['accountnumber', 'routingnumber', 'sortcode', 'salary', 'income'],
  ['ssn', 'socialsecurity', 'socialsecuritynumber', 'nationalid', 'taxid', 'passport', 'nin'],
  ['driverlicense', 'driverslicense', 'drivinglicence'],
  ['email', 'mail', 'emailaddress', 'phone', 'phonenumber', 'mobile', 'telephone', 'fax'],
  ['address', 'street', 'streetaddress', 'postalcode', 'zipcode', 'postcode'],
  ['birthdate', 'birthday', 'dateofbirth', 'dob', 'gender', 'ethnicity', 'religion'],
  ['firstname', 'lastname', 'givenname', 'familyname', 'middlename', 'fullname', 'surname'],
  ['diagnosis', 'medical', 'healthrecord', 'bloodtype', 'biometric', 'fingerprintdata'],
  ['ipaddress', 'geolocation', 'latitude', 'longitude'],
].flat();

const WORDS: ReadonlySet<string> = new Set(SENSITIVE_WORDS);

const LOOKS_SENSITIVE: ReadonlyArray<(text: string) => boolean> = [
  (text) => /^[^\s@]{1,64}@[^\s@]+\.[^\s@]{2,}$/.test(text),
  (text) => /-----BEGIN [A-Z ]+-----/.test(text),
  (text) => /^ey[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_.-]*$/.test(text),
  (text) => /^\d{3}-\d{2}-\d{4}$/.test(text),
  (text) => isCardNumber(text),
];

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
  if (typeof value === 'string')
    return LOOKS_SENSITIVE.some((test) => test(value)) ? path : undefined;
  if (typeof value === 'number') return isCardNumber(String(value)) ? path : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    // A list item has the list's name, so that a list of addresses is caught by its name alone.
    const itemName = Array.isArray(value) ? '' : key;
    const found = inspect(`${path}.${key}`, itemName, inner, allowed);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Splits a name into words and tries every run of up to three: `user_email_address`, `eMail`. */
function isSensitiveName(name: string): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  return words.some((_, start) =>
    [1, 2, 3].some((length) => WORDS.has(words.slice(start, start + length).join(''))),
  );
}

/** Lengths and prefixes of the large card networks: an identifier of 18 digits is no card. */
const CARD = /^(?:4\d{15}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|6(?:011|5\d\d)\d{12})$/;

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
