import { createHash } from 'node:crypto';

/**
 * Secrets of 32 bytes and more as people invent them, made without the leaked list: what framework
 * templates, tutorials, compose files and hurried developers write, and how they stretch it to the
 * length they were told.
 */

const STEMS: readonly string[] = [
  'supersecretkey',
  'MySuperSecretJwtKey',
  'jwt_secret_key_for_my_app',
  'topsecretpassphrase',
  'please-dont-tell-anyone',
  'acme-corp-auth-service',
  'correct horse battery staple',
  'Tr0ub4dor&3',
  'P@ssw0rd!',
  'Welcome2024!',
  'Summer2025!',
  'qwertyuiop',
  'letmein123',
  'iloveyou4ever',
  'admin:admin',
  'root:toor',
  'developmentkey',
  'staging-signing-key',
  'integrationtest',
  'unit-test-secret-do-not-share',
  'keyboardcat',
  'shhhhhhared-secret',
  'nestjs-jwt-secret',
  'express-session-secret',
  'laravel-app-key',
  'spring.security.jwt.secret',
  'ASP.NET_Core_Secret',
  'rails_secret_key_base',
  'HS256_SIGNING_KEY',
  'accessTokenSecret',
  'refreshTokenSecret',
  'contrasenasecreta',
  'motdepassesecret',
  'geheimesPasswort',
  'chavesecreta',
  'parolasegreta',
  'sifre12345',
  'rahasia123',
  'tajnehaslo',
  'wachtwoord1',
  'hemlignyckel',
  'woaini1314520',
  'hunter2',
  'monkey123',
  'dragon2020',
  'liverpool',
  'manchesterunited',
  'barcelona10',
  'juventus1897',
  'realmadrid',
];

/** How a stem is stretched to the length that was asked for. */
const STRETCHES: readonly (readonly [name: string, stretch: (stem: string) => string])[] = [
  ['repeated', (stem) => fill(stem, 40)],
  ['repeated with hyphens', (stem) => fill(`${stem}-`, 44)],
  ['padded with digits', (stem) => stem + fill('1234567890', 40 - Math.min(stem.length, 8))],
  ['padded with one sign', (stem) => stem.padEnd(40, '!')],
  ['padded in front', (stem) => stem.padStart(36, '0')],
  ['with a year and signs', (stem) => `${stem}_2024_${stem}_2025!!#`.padEnd(34, '#')],
  ['in leetspeak', (stem) => leet(fill(`${stem}_`, 38))],
  ['backwards', (stem) => Array.from(fill(stem, 36)).toReversed().join('')],
  ['in capitals', (stem) => fill(`${stem}_`.toUpperCase(), 36)],
  ['in alternating case', (stem) => Array.from(fill(stem, 34), alternate).join('')],
  ['as base64', (stem) => Buffer.from(fill(stem, 33)).toString('base64')],
  ['as hexadecimal', (stem) => Buffer.from(fill(stem, 20)).toString('hex')],
  ['as base64 of hexadecimal', (stem) => base64(Buffer.from(stem).toString('hex').padEnd(32, '0'))],
  ['with words around it', (stem) => `this-is-the-${stem}-of-our-production-server`],
];

/** What has no stem: walks, counts, identifiers, addresses, quotations, defaults. */
const OTHERS: readonly string[] = [
  'a'.repeat(32),
  '0'.repeat(64),
  'ab'.repeat(20),
  'deadbeef'.repeat(8),
  'cafebabe'.repeat(4),
  '\0'.repeat(32),
  '\x01\x02'.repeat(20),
  String.fromCharCode(...Array.from({ length: 32 }, (_none, at) => at)),
  String.fromCharCode(...Array.from({ length: 64 }, (_none, at) => 255 - at)),
  'abcdefghijklmnopqrstuvwxyz0123456789',
  'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
  'zyxwvutsrqponmlkjihgfedcba9876543210',
  '0123456789abcdef0123456789abcdef',
  '0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF',
  '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff',
  'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=',
  'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  'qwertyuiopasdfghjklzxcvbnm1234567890',
  'qwertzuiopasdfghjklyxcvbnm1234567890',
  'azertyuiopqsdfghjklmwxcvbn1234567890',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.',
  '!QAZ@WSX#EDC$RFV%TGB^YHN&UJM*IK<(OL>',
  'zaq12wsxcde34rfvbgt56yhnmju78ik,lo90',
  'asdfghjklasdfghjklasdfghjklasdfghjkl',
  'qazwsxedcrfvtgbyhnujmikolpqazwsxedcrfv',
  '123456789012345678901234567890123456',
  '314159265358979323846264338327950288',
  '11111111-2222-3333-4444-555555555555',
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '123e4567-e89b-12d3-a456-426614174000',
  '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
  '550e8400-e29b-41d4-a716-446655440000',
  '{f47ac10b-58cc-4372-a567-0e02b2c3d479}',
  'https://auth.example.com/oauth2/default',
  'http://localhost:3000/api/v1/auth/login',
  'postgres://postgres:postgres@localhost:5432/app',
  'jwt-signing-secret@auth.mycompany.com',
  'john.doe+jwt.secret.2024@gmail.com',
  '2024-01-01T00:00:00.000Z2024-12-31T23:59:59.999Z',
  '01.01.1970-31.12.1999-01.01.2000-31.12',
  'January February March April May June July',
  'MondayTuesdayWednesdayThursdayFridaySaturday',
  'onetwothreefourfivesixseveneightnineten',
  'alphabravocharliedeltaechofoxtrotgolfhotel',
  'TheQuickBrownFoxJumpsOverTheLazyDog123',
  'The quick brown fox jumps over the lazy dog',
  'Lorem ipsum dolor sit amet, consectetur adipiscing elit',
  'to be or not to be that is the question',
  'may the force be with you always and forever',
  'In the beginning God created the heaven and the earth',
  'We hold these truths to be self-evident, that all men are created equal',
  'It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness',
  'never gonna give you up never gonna let you down',
  'all work and no play makes jack a dull boy',
  'hello darkness my old friend i have come to talk with you again',
  'this is a very long secret that nobody will ever guess because it is so long and so very secret indeed',
  'your-256-bit-secret-your-256-bit-secret',
  'a-string-secret-at-least-256-bits-long',
  'changeme-changeme-changeme-changeme',
  'my-super-secret-jwt-signing-key-1234567890',
  'supersecretsupersecretsupersecret',
  'super-secret-jwt-token-with-at-least-32-characters-long',
  'your_super_secret_jwt_key_change_this_in_production',
  'your-super-secret-and-long-jwt-signing-key-here',
  'replace-this-with-a-long-random-string-in-production',
  'thisisasamplesecretkeyforjwtauthentication',
  'ThisIsMySuperLongSecretKeyForJwtTokenGeneration2023',
  'secretsecretsecretsecretsecretsecret',
  'JWT_SECRET=supersecret JWT_EXPIRES_IN=3600s',
  '<generate-a-strong-secret-with-openssl-rand>',
  'openssl rand -base64 32 openssl rand -hex 64',
  '$(openssl rand -hex 32)$(openssl rand -hex 32)',
  '${JWT_SECRET:-default-development-secret}',
  'process.env.JWT_SECRET || "development-secret"',
  'undefinedundefinedundefinedundefined',
  '[object Object][object Object][object Object]',
  'nullnullnullnullnullnullnullnullnull',
  'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
  '********************************************',
  '................................................',
  'insert_your_own_random_secret_of_32_bytes_here',
  'django-insecure-k2#v9@x!w7$q5^m3&n1*b8(z6)l4-p0_j',
  'n2r5u8x/A?D(G+KbPeShVmYq3t6w9z$C&F)J@NcRfUjWnZr4',
  'Пароль для подписи токенов приложения',
  '这是一个非常长的用于签名令牌的秘密密钥字符串',
  'señor-contraseña-muy-secreta-y-muy-larga',
  'Schlüssel-für-die-Unterschrift-der-Marken',
  '🔑🔒🔑🔒🔑🔒🔑🔒🔑🔒',
  'aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStT',
  'a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0',
  'Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!',
  'abc123!@#abc123!@#abc123!@#abc123!@#abc123',
  'aaaabbbbccccddddeeeeffffgggghhhhiiiijjjj',
  'red-green-blue-yellow-orange-purple-black',
  'cat dog bird fish horse cow pig sheep goat',
];

/** Digests that anybody can compute of what anybody would try. */
const HASHED: readonly string[] = ['secret', 'password', 'admin', '123456', 'changeme', 'qwerty'];

/** Every invented secret, with the way it was made. */
export function inventedSecrets(): readonly (readonly [how: string, secret: Buffer])[] {
  const stretched = STEMS.flatMap((stem) =>
    STRETCHES.map(([how, stretch]) => [how, Buffer.from(stretch(stem))] as const),
  );
  const others = OTHERS.map((text) => ['as it stands', Buffer.from(text)] as const);
  const hashed = HASHED.flatMap((text) => {
    const digest = createHash('sha256').update(text).digest();
    return [digest, Buffer.from(digest.toString('hex')), Buffer.from(digest.toString('base64'))];
  }).map((digest) => ['a digest', digest] as const);
  return [...stretched, ...others, ...hashed];
}

function fill(text: string, length: number): string {
  return text.repeat(Math.ceil(length / text.length));
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function alternate(letter: string, at: number): string {
  return at % 2 === 0 ? letter.toUpperCase() : letter.toLowerCase();
}

function leet(text: string): string {
  const signs: Readonly<Record<string, string>> = {
    a: '4',
    e: '3',
    i: '1',
    o: '0',
    s: '5',
    t: '7',
  };
  return text.replace(/[aeiost]/g, (letter) => signs[letter] ?? letter);
}
