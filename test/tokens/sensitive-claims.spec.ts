import type { ClaimInput } from '../../lib/tokens/claims.js';
import { findSensitiveClaim } from '../../lib/tokens/sensitive-claims.js';

const NOTHING: ReadonlySet<string> = new Set();

function find(claims: Record<string, ClaimInput>, ...allowed: string[]): string | undefined {
  return findSensitiveClaim(claims, new Set(allowed));
}

// Numbers that networks publish for tests, all with a right check digit.
const CARDS = {
  visa: '4111111111111111',
  mastercard: '5555555555554444',
  mastercard2: '2223003122003222',
  amex: '378282246310005',
  discover: '6011111111111117',
};

describe('names that look secret or personal (RFC 7519 §12, OWASP WSTG-SESS-10)', () => {
  const families: Record<string, readonly string[]> = {
    'a password or a code': [
      'password',
      'passwd',
      'pwd',
      'passphrase',
      'passcode',
      'pin',
      'otp',
      'totp',
    ],
    'a secret': ['secret', 'credential', 'credentials', 'apikey', 'privatekey', 'accesskey'],
    'another token': ['accesstoken', 'refreshtoken', 'idtoken', 'csrftoken', 'cookie'],
    'a way to pay': [
      'card',
      'cardnumber',
      'creditcard',
      'pan',
      'cvv',
      'cvc',
      'cvv2',
      'iban',
      'bic',
    ],
    money: ['accountnumber', 'routingnumber', 'sortcode', 'salary', 'income'],
    'an official number': ['ssn', 'socialsecurity', 'nationalid', 'taxid', 'passport', 'nin'],
    'a way to reach someone': ['email', 'mail', 'emailaddress', 'phone', 'phonenumber', 'mobile'],
    'a place': ['address', 'street', 'postalcode', 'zipcode', 'latitude', 'longitude', 'ipaddress'],
    'a person': ['birthdate', 'dob', 'gender', 'ethnicity', 'religion', 'firstname', 'surname'],
    health: ['diagnosis', 'medical', 'bloodtype', 'biometric'],
  };

  it.each(Object.entries(families))('finds every name of %s', (_, names) => {
    for (const name of names) expect([name, find({ [name]: 'x' })]).toEqual([name, name]);
  });

  it.each([
    'Password',
    'PASSWORD',
    'user_password',
    'userPassword',
    'UserPassword',
    'user-password',
    'user.password',
    'user password',
    'password_hash',
    'passwordHash',
    'oldPasswordHash',
    '_password',
    'password_',
    '$password',
    'https://app.example/claims/password',
    'card_number',
    'cardNumber',
    'CardNumber',
    'CARD_NUMBER',
    'card-number',
    'credit_card',
    'credit_card_number',
    'eMail',
    'e_mail',
    'e-mail',
    'E-Mail',
    'email_address',
    'userEmailAddress',
    'date_of_birth',
    'dateOfBirth',
    'api_key',
    'apiKey',
    'APIKey',
    'myApiKey',
    'client_secret',
    'access_token',
    'refreshToken',
    'id_token',
    'social_security_number',
    'first_name',
    'lastName',
    'ip_address',
    'phone_number',
    'homePhone',
    'tax_id',
    'sort-code',
  ])('finds %j, whatever the spelling', (name) => {
    expect(find({ [name]: 'x' })).toBe(name);
  });

  it.each([
    'passwords',
    'emails',
    'email_addresses',
    'phoneNumbers',
    'cards',
    'secrets',
    'cookies',
    'addresses',
    'api_keys',
    'refreshTokens',
  ])('finds %j: a list of them is no better than one', (name) => {
    expect(find({ [name]: [] })).toBe(name);
  });

  it.each(['email1', 'email2', 'password2', 'phone_1', 'address1', 'card1'])(
    'finds %j: a number behind the word changes nothing',
    (name) => {
      expect(find({ [name]: 'x' })).toBe(name);
    },
  );

  it('finds a name at any depth, and says where', () => {
    expect(find({ profile: { email: 'x' } })).toBe('profile.email');
    expect(find({ a: { b: { c: { password: null } } } })).toBe('a.b.c.password');
    expect(find({ contacts: [{ name: 'x' }, { phone: 'x' }] })).toBe('contacts.1.phone');
    expect(find({ deep: [[[{ pin: 1 }]]] })).toBe('deep.0.0.0.pin');
  });

  it('finds a name whatever stands in it', () => {
    for (const value of ['', 0, null, true, [], {}] as const) {
      expect(find({ password: value })).toBe('password');
    }
  });

  it('names the first of several', () => {
    expect(find({ tenant: 't', email: 'x', password: 'y' })).toBe('email');
  });
});

describe('names that only resemble them', () => {
  it.each([
    'pinned',
    'spinner',
    'pinboard',
    'opinion',
    'shipping',
    'company',
    'companyId',
    'span',
    'panel',
    'japan',
    'pancake',
    'plan',
    'discard',
    'cardinal',
    'cardinality',
    'scorecard',
    'wildcard',
    'secretary',
    'mailbox',
    'blackmail',
    'phonetic',
    'microphone',
    'mobility',
    'automobile',
    'streetwise',
    'outcome',
    'incoming',
    'tokenVersion',
    'token_version',
    'tv',
    'tenant',
    'tenant_id',
    'locale',
    'zoneinfo',
    'department',
    'order_id',
    'plan_name',
    'feature_flags',
    'theme',
    'passage',
    'passenger',
    'compass',
    'bypass',
    'keyboard',
    'monkey',
    'hotkey',
    'key_version',
    'public_key_id',
    'discipline',
    'biceps',
    'ibanez',
    'dobby',
    'ninja',
    'bicycle',
    'assn',
    'topic',
    'latent',
    'longest',
    'name',
    'nickname',
    'username',
    'preferred_username',
    'display_name',
    'id',
    'organisation',
    '',
    '123',
    'ünïcode',
  ])('lets %j pass', (name) => {
    expect(find({ [name]: 'x' })).toBeUndefined();
  });
});

describe('values that look secret or personal', () => {
  const compactToken = ['eyJhbGciOiJFUzI1NiJ9', 'e30', 'c2ln'].join('.');

  const sensitive: ReadonlyArray<readonly [string, ClaimInput]> = [
    ['an e-mail address', 'alice@example.org'],
    ['an e-mail address with a plus', 'alice+tag@mail.example.co.uk'],
    ['an e-mail address of any script', 'jörg@exämple.de'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nMC4CAQA\n-----END PRIVATE KEY-----'],
    ['an RSA private key after other text', 'key: -----BEGIN RSA PRIVATE KEY-----\nMIIE'],
    ['an encrypted private key', '-----BEGIN ENCRYPTED PRIVATE KEY-----'],
    ['a certificate', '-----BEGIN CERTIFICATE-----'],
    ['another token', compactToken],
    ['an unsigned token', 'eyJhbGciOiJub25lIn0.e30.'],
    ['an encrypted token', 'eyJhbGciOiJkaXIifQ..aXY.Y3Q.dGFn'],
    ['a US social security number', '078-05-1120'],
    ['a Visa number', CARDS.visa],
    ['a Visa number in groups', '4111 1111 1111 1111'],
    ['a Visa number with dashes', '4111-1111-1111-1111'],
    ['a Mastercard number', CARDS.mastercard],
    ['a Mastercard number of the 2 series', CARDS.mastercard2],
    ['an American Express number', CARDS.amex],
    ['an American Express number in groups', '3782 822463 10005'],
    ['a Discover number', CARDS.discover],
    ['a card number as a number', Number(CARDS.visa)],
  ];

  it.each(sensitive)('finds %s under a harmless name', (_, value) => {
    expect(find({ note: value })).toBe('note');
    expect(find({ notes: ['x', value] })).toBe('notes.1');
    expect(find({ a: { b: [{ c: value }] } })).toBe('a.b.0.c');
  });

  it.each([
    ['a mailto link', 'mailto:alice@example.org'],
    ['an address with a display name', 'Alice Doe <alice@example.org>'],
    ['an address with white space around it', ' alice@example.org '],
    ['a token with its scheme', `Bearer ${compactToken}`],
    ['a card number with white space around it', ` ${CARDS.visa} `],
  ])('finds %s: a little text around it hides nothing', (_, value) => {
    expect(find({ note: value })).toBe('note');
  });

  it.each([
    ['a JCB number', '3530111333300000'],
    ['a Diners Club number', '30569309025904'],
    ['a UnionPay number', '6200000000000005'],
  ])('finds %s', (_, value) => {
    expect(find({ note: value })).toBe('note');
  });
});

describe('values that only resemble them', () => {
  const harmless: ReadonlyArray<readonly [string, ClaimInput]> = [
    ['text', 'hello'],
    ['nothing', ''],
    ['an @ alone', '@'],
    ['a handle', '@alice'],
    ['an @ without a domain', 'alice@localhost'],
    ['a sentence with an @', 'meet me @ the bar. now'],
    ['a UUID', '7b1c0c0e-52a4-4c0b-9c5d-3c2f1a0b9d8e'],
    ['a SHA-256 digest', 'a'.repeat(64)],
    ['a Visa number with a wrong check digit', '4111111111111112'],
    ['16 digits of no network', '1234567812345670'],
    ['18 digits', '411111111111111111'],
    ['a snowflake id', '1129837465001283584'],
    ['a timestamp in milliseconds', 1_795_305_600_000],
    ['a timestamp in seconds', 1_795_305_600],
    ['a large number', Number.MAX_SAFE_INTEGER],
    ['a fraction', 41_111.111_1],
    ['a date', '2026-11-22'],
    ['a phone-like order number', '078-05-11201'],
    ['a version', '1.2.3'],
    ['a domain', 'api.example.org'],
    ['a URL', 'https://example.org/a?b=c'],
    ['a word that starts like a token', 'eyebrow'],
    ['three parts that are no token', 'a.b.c'],
    ['the word BEGIN', '-----BEGIN-----'],
    ['true', true],
    ['null', null],
    ['an empty list', []],
    ['an empty object', {}],
  ];

  it.each(harmless)('lets %s pass', (_, value) => {
    expect(find({ note: value })).toBeUndefined();
  });
});

describe('tokens.allowClaims', () => {
  it('lets a claim pass by its name, with everything below it', () => {
    expect(find({ email: 'alice@example.org' }, 'email')).toBeUndefined();
    expect(find({ address: { street: 'x', phone: 'y' } }, 'address')).toBeUndefined();
    expect(find({ note: CARDS.visa }, 'note')).toBeUndefined();
  });

  it('lets a nested claim pass by its path, and only that one', () => {
    expect(find({ profile: { email: 'x' } }, 'profile.email')).toBeUndefined();
    expect(find({ profile: { email: 'x', phone: 'y' } }, 'profile.email')).toBe('profile.phone');
    expect(find({ other: { email: 'x' } }, 'profile.email')).toBe('other.email');
  });

  it.each([
    ['another name', 'mail'],
    ['another case', 'Email'],
    ['a prefix of the name', 'ema'],
    ['a path below it', 'email.value'],
    ['a pattern', '*'],
    ['a pattern', 'e*'],
  ])('is not widened by %s', (_, allowed) => {
    expect(find({ email: 'x' }, allowed)).toBe('email');
  });

  it('does not let the name of one top-level claim open the same name elsewhere', () => {
    expect(find({ email: 'x', profile: { email: 'y' } }, 'email')).toBe('profile.email');
  });

  it('still reads what stands beside an allowed claim', () => {
    expect(find({ email: 'x', note: CARDS.visa }, 'email')).toBe('note');
  });
});

it('finds nothing where there is nothing', () => {
  expect(findSensitiveClaim({}, NOTHING)).toBeUndefined();
});
