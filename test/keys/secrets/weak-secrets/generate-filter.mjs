/**
 * Makes the three data files behind the check of shared secrets, from the list of leaked secrets and a
 * list of common words: `node generate-filter.mjs <folder> [<list>]`. The same input gives the same
 * bytes. With another list than the whole one, what is not on it measures what the rules are worth.
 *
 * The filter holds truncated SHA-256 digests, the statistics hold how often one letter follows two
 * others: no word of either list can be read from them.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LEAKED = join(import.meta.dirname, '../../../vectors/weak-secrets/jwt.secrets.public.txt');
const WORDS = join(import.meta.dirname, 'usual-words.txt');

// As in lib/keys/secrets/weak-secret-filter.ts, where the reasons are.
const TABLES = { short: 46, long: 52 };
const LONG_BYTES = 24;

const CHUNK = 3000;

// What everybody tries first, should the list not hold it: their digests are refused as well.
const CLASSICS = [
  '123456 1234567 12345678 123456789 1234567890 111111 000000 123123 654321 666666 696969 112233',
  'qwerty qwerty123 qwertyuiop 1q2w3e4r 1qaz2wsx asdfgh asdfghjkl zxcvbnm abc123 abcdef a1b2c3',
  'password password1 password123 Password Password1 Password123 P@ssw0rd Passw0rd passw0rd pass',
  'secret Secret SECRET secret123 mysecret my-secret my_secret supersecret super-secret topsecret',
  'jwtsecret jwt-secret jwt_secret JWT_SECRET secretkey secret-key secret_key SECRET_KEY jwt JWT',
  'admin Admin admin123 administrator root toor user guest test Test test123 testing demo example',
  'changeme ChangeMe change-me change_me CHANGE_ME changeit default letmein welcome welcome1 hello',
  'iloveyou monkey dragon football baseball sunshine princess master shadow superman batman trustno1',
  'token access refresh key private public dev development prod production staging local localhost',
  'foo bar foobar foobarbaz hello-world helloworld keyboard-cat shhhhh s3cr3t S3cr3t hunter2 null',
].flatMap((line) => line.split(' ').map((word) => Buffer.from(word)));

// ---- the filter ----

/** White space around it and the case of its letters make no secret another secret. */
function normalise(bytes) {
  const text = bytes.toString('latin1').replace(/^(?:ï»¿|[\s\0])+|[\s\0]+$/g, '');
  return Buffer.from(
    text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
    'latin1',
  );
}

/** The bytes themselves and, where they are hexadecimal or base64 text, what that stands for. */
function decodings(bytes) {
  const text = bytes.toString('latin1').trim();
  const forms = [bytes];
  if (/^(?:[0-9a-f]{2})+$/i.test(text)) forms.push(Buffer.from(text, 'hex'));
  if (/^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2,3}={1,2})?$/.test(text)) {
    forms.push(Buffer.from(text, 'base64'));
  }
  return forms;
}

function fingerprint(bytes, bits) {
  const digest = createHash('sha256').update(bytes).digest();
  return digest.readBigUInt64BE() >> BigInt(64 - bits);
}

/** Golomb-Rice: the sorted differences, the low bits as they are and the high bits in unary. */
function encode(values, bits) {
  const sorted = [...new Set(values)].toSorted((a, b) => (a < b ? -1 : 1));
  const low = Math.max(0, Math.round(bits - Math.log2(sorted.length) + Math.log2(Math.LN2)));
  const out = [];
  let pending = 0;
  let filled = 0;
  const push = (bit) => {
    pending = (pending << 1) | bit;
    if (++filled === 8) {
      out.push(pending);
      pending = 0;
      filled = 0;
    }
  };
  let previous = -1n;
  for (const value of sorted) {
    const gap = value - previous - 1n;
    for (let high = gap >> BigInt(low); high > 0n; high--) push(1);
    push(0);
    for (let at = low - 1; at >= 0; at--) push(Number((gap >> BigInt(at)) & 1n));
    previous = value;
  }
  for (let left = (8 - filled) % 8; left > 0; left--) push(0);
  return { count: sorted.length, bits, low, data: Buffer.from(out).toString('base64') };
}

export function makeFilter(secrets, words) {
  const short = [...secrets, ...CLASSICS, ...words].flatMap((secret) => [
    fingerprint(secret, TABLES.short),
    fingerprint(Buffer.from(secret.toString('latin1').trim(), 'latin1'), TABLES.short),
  ]);
  const long = secrets
    .flatMap(decodings)
    .map(normalise)
    .filter((form) => form.length >= LONG_BYTES)
    .map((form) => fingerprint(form, TABLES.long));
  return { short: encode(short, TABLES.short), long: encode(long, TABLES.long) };
}

// ---- the statistics of letters ----

const LETTERS = 27;
const LEET = { 0: 'o', 1: 'i', 3: 'e', 4: 'a', 5: 's', 7: 't', '@': 'a', $: 's', '!': 'i' };

/** Letters as 1 to 26, everything else as 0. */
function fold(text) {
  return Array.from(text.toLowerCase(), (char) => {
    const code = char.charCodeAt(0) - 96;
    return code >= 1 && code <= 26 ? code : 0;
  });
}

/** How unlikely a letter is after two others, in steps of half a bit, two letters to a byte. */
export function makeStatistics(secrets, words) {
  const three = new Float64Array(LETTERS ** 3);
  const two = new Float64Array(LETTERS ** 2);
  const one = new Float64Array(LETTERS);
  const learn = (symbols, weight) => {
    for (let at = 2; at < symbols.length; at++) {
      const [a, b, c] = symbols.slice(at - 2, at + 1);
      three[(a * LETTERS + b) * LETTERS + c] += weight;
      two[b * LETTERS + c] += weight;
      one[c] += weight;
    }
  };
  for (const secret of secrets) {
    const text = secret.toString('latin1');
    const letters = text.replace(/[^a-z]/gi, '').length;
    // Numbers teach no letters, and random text teaches the wrong ones.
    if (letters < 3 || /^[0-9a-f-]+$/i.test(text) || text.length > 80) continue;
    const plain = text.replace(/(?<=[a-z])[01345 7@$!](?=[a-z])/gi, (char) => LEET[char] ?? char);
    learn([0, 0, ...fold(plain), 0], 1);
  }
  for (const [at, word] of words.entries()) {
    const text = word.toString('latin1');
    learn([0, 0, ...fold(text), 0], 6);
    // Words that run on without a space between them.
    for (const step of [1, 7, 61]) {
      const next = words[(at * 31 + step * 977) % words.length].toString('latin1');
      learn([...fold(text).slice(-2), ...fold(next).slice(0, 2)], 2);
    }
  }
  const total = one.reduce((sum, count) => sum + count);
  const nibbles = [];
  for (let a = 0; a < LETTERS; a++) {
    for (let b = 0; b < LETTERS; b++) {
      const row = (a * LETTERS + b) * LETTERS;
      const seen3 = three.subarray(row, row + LETTERS).reduce((sum, count) => sum + count);
      const seen2 = two.subarray(b * LETTERS, (b + 1) * LETTERS).reduce((sum, n) => sum + n);
      for (let c = 0; c < LETTERS; c++) {
        const p1 = (one[c] + 1) / (total + LETTERS);
        const p2 = (two[b * LETTERS + c] + 20 * p1) / (seen2 + 20);
        const p3 = (three[row + c] + 12 * p2) / (seen3 + 12);
        nibbles.push(Math.min(15, Math.round(-Math.log2(p3) / 0.7)));
      }
    }
  }
  if (nibbles.length % 2 === 1) nibbles.push(0);
  const bytes = nibbles.flatMap((nibble, at) =>
    at % 2 === 0 ? [(nibble << 4) | nibbles[at + 1]] : [],
  );
  return Buffer.from(bytes).toString('base64');
}

// ---- the words ----

/** How often each word occurs in the secrets. */
function countWords(secrets) {
  const counts = new Map();
  for (const secret of secrets) {
    for (const [word] of secret.toString('latin1').matchAll(/[A-Z]?[a-z]+|[A-Z]+/g)) {
      const name = word.toLowerCase();
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return counts;
}

function frequentWords(secrets, words) {
  const counts = countWords(secrets);
  return words.filter((word) => (counts.get(word.toString('latin1')) ?? 0) >= 3);
}

/** The words one after the other: letters kept from the one before, weight, the rest. */
export function makeWords(secrets, words) {
  const counts = countWords(secrets);
  let previous = '';
  let text = '';
  for (const word of words.map((one) => one.toString('latin1')).toSorted()) {
    let kept = 0;
    while (kept < 25 && kept < word.length - 1 && word[kept] === previous[kept]) kept++;
    const weight = Math.min(6, Math.floor(Math.log2(1 + (counts.get(word) ?? 0))));
    text += String.fromCharCode(65 + kept) + weight + word.slice(kept);
    previous = word;
  }
  return Buffer.from(text).toString('base64');
}

// ---- the files ----

function lines(file) {
  const bytes = readFileSync(file);
  return bytes
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Buffer.from(line, 'latin1'));
}

function chunks(name, data) {
  const parts = data.match(new RegExp(`.{1,${CHUNK}}`, 'g')) ?? [];
  return `${name}: [\n${parts.map((part) => `    '${part}',\n`).join('')}  ],`;
}

function tableSource(name, { count, bits, low, data }) {
  return `  ${name}: {\n    count: ${count},\n    bits: ${bits},\n    low: ${low},\n    ${chunks(
    'data',
    data,
  ).replaceAll('\n  ', '\n    ')}\n  },`;
}

const HEADER =
  '// Generated by test/keys/secrets/weak-secrets/generate-filter.mjs from the list of leaked secrets.';

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2];
  const secrets = lines(process.argv[3] ?? LEAKED);
  const words = lines(WORDS);
  const filter = makeFilter(secrets, frequentWords(secrets, words));
  writeFileSync(
    join(folder, 'weak-secrets.data.ts'),
    `${HEADER}

/** Truncated digests of leaked secrets, as lib/keys/secrets/weak-secret-filter.ts reads them. */
export const WEAK_SECRETS = {
${tableSource('short', filter.short)}
${tableSource('long', filter.long)}
} as const;
`,
  );
  writeFileSync(
    join(folder, 'letter-statistics.data.ts'),
    `${HEADER}

/** How unlikely a letter is after two others, as lib/keys/secrets/letter-model.ts reads it. */
export const LETTER_STATISTICS = {
  ${chunks('data', makeStatistics(secrets, words))}
} as const;
`,
  );
  writeFileSync(
    join(folder, 'usual-words.data.ts'),
    `${HEADER}

/** Usual words and how often they occur in secrets, as lib/keys/secrets/word-model.ts reads them. */
export const USUAL_WORDS = {
  ${chunks('data', makeWords(secrets, words))}
} as const;
`,
  );
}
