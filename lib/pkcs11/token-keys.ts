import type { JsonWebKey } from 'node:crypto';

import { type AlgorithmRow, findAlgorithm } from '../keys/algorithms.js';
import { randomId } from '../kernel/ids.js';
import { KeyError } from '../kernel/errors.js';
import {
  type Attribute,
  CKA,
  CKO,
  CKR,
  type Cryptoki,
  type Handle,
  type KeyPair,
  returnValueOf,
} from './cryptoki.js';
import { type KeyMechanisms, mechanismList } from './mechanisms.js';
import { describe, tokenFailed } from './token-failure.js';
import type { Session } from './token-sessions.js';

/**
 * Keys as objects of a token. A key of ours has its `kid` as CKA_ID and `<prefix><alg>:<kid>` as
 * CKA_LABEL, which ties it to one algorithm; the token signs with its private half and never gives
 * it away. Objects that are not exactly that do not exist for us.
 */
export interface TokenKey {
  readonly kid: string;
  readonly row: AlgorithmRow;
  readonly publicJwk: JsonWebKey;
}

/** One more than there may be. */
const TWO = 2;
/** Destroying takes away doubles as well. */
const MANY = 16;

/** What the private half must be, whatever the token would have made of it by default. */
const PRIVATE_TRAITS: readonly Attribute[] = [
  { type: CKA.TOKEN, value: true },
  { type: CKA.PRIVATE, value: true },
  { type: CKA.SENSITIVE, value: true },
  { type: CKA.EXTRACTABLE, value: false },
  { type: CKA.SIGN, value: true },
];

/** For signatures and nothing else, and not to be relabelled. Not every token knows all of these. */
const STRICT_TRAITS: readonly Attribute[] = [
  { type: CKA.DECRYPT, value: false },
  { type: CKA.UNWRAP, value: false },
  { type: CKA.SIGN_RECOVER, value: false },
  { type: CKA.DERIVE, value: false },
  { type: CKA.MODIFIABLE, value: false },
];

const UNKNOWN_TRAIT: ReadonlySet<number | undefined> = new Set([
  CKR.ATTRIBUTE_TYPE_INVALID,
  CKR.ATTRIBUTE_VALUE_INVALID,
  CKR.TEMPLATE_INCONSISTENT,
]);

const CANNOT_MAKE: ReadonlySet<number | undefined> = new Set([
  ...UNKNOWN_TRAIT,
  CKR.MECHANISM_INVALID,
  CKR.TEMPLATE_INCOMPLETE,
  CKR.DOMAIN_PARAMS_INVALID,
  CKR.CURVE_NOT_SUPPORTED,
]);

/**
 * Makes a key pair in the token.
 * @throws KeyError `ERR_KEY_INVALID` when the token cannot make such a key
 */
export async function createKey(
  session: Session,
  row: AlgorithmRow,
  mechanisms: KeyMechanisms,
  prefix: string,
): Promise<TokenKey> {
  const { functions, handle, slot } = session;
  const offered = new Set(functions.C_GetMechanismList(slot));
  if (![mechanisms.generate, mechanisms.sign].every(({ mechanism }) => offered.has(mechanism))) {
    throw notOffered(row);
  }
  const kid = randomId();
  const pair = await makePair(session, row, mechanisms, [
    { type: CKA.ID, value: Buffer.from(kid) },
    { type: CKA.LABEL, value: Buffer.from(`${prefix}${row.name}:${kid}`) },
  ]);
  try {
    if (!hasTraits(session, pair.privateKey, PRIVATE_TRAITS)) {
      throw unusable('the token would give its private half away');
    }
    return { kid, row, publicJwk: readPublicKey(session, pair.publicKey, mechanisms) };
  } catch (error) {
    for (const object of [pair.privateKey, pair.publicKey]) discard(functions, handle, object);
    throw error;
  }
}

/** The key of ours with this `kid`; `null` if the token has none. */
export function findKey(
  session: Session,
  kid: string,
  prefix: string,
  toMechanisms: (row: AlgorithmRow) => KeyMechanisms | undefined,
): TokenKey | null {
  const [object, double] = findObjects(session, privateKeyTemplate(kid), TWO);
  if (object === undefined) return null;
  if (double !== undefined) throw unusable('the token has two with its kid');
  const row = rowOfLabel(readLabel(session, object), kid, prefix);
  const mechanisms = row && toMechanisms(row);
  if (row === undefined || mechanisms === undefined) return null;
  const [publicKey, other] = findObjects(session, publicKeyTemplate(kid), TWO);
  if (publicKey === undefined) throw unusable('its public half is not in the token');
  if (other !== undefined) throw unusable('the token has two public halves of it');
  return { kid, row, publicJwk: readPublicKey(session, publicKey, mechanisms) };
}

/** The handle of a private half; it is stale after the next login. */
export function findPrivateKey(session: Session, kid: string): Handle | undefined {
  const [object, double] = findObjects(session, privateKeyTemplate(kid), TWO);
  if (double !== undefined) throw unusable('the token has two with its kid');
  return object;
}

/** Destroys what is ours under this `kid`, private halves first. Answers how many objects that were. */
export function destroyKey(session: Session, kid: string, prefix: string): number {
  const { functions, handle } = session;
  const objects = [CKO.PRIVATE_KEY, CKO.PUBLIC_KEY].flatMap((kind) =>
    findObjects(session, objectTemplate(kind, kid), MANY),
  );
  const ours = objects.filter(
    (object) => rowOfLabel(readLabel(session, object), kid, prefix) !== undefined,
  );
  for (const object of ours) functions.C_DestroyObject(handle, object);
  return ours.length;
}

// The addon works on these bytes in another thread without holding on to them.
const inUse = new Set<Buffer>();

/** Signs in the thread pool. */
export async function signInToken(
  { functions, handle }: Session,
  key: Handle,
  { sign, toData }: KeyMechanisms,
  { input, length }: { readonly input: Buffer; readonly length: number },
): Promise<Buffer> {
  const data = toData(input);
  const signature = Buffer.alloc(length);
  functions.C_SignInit(handle, sign, key);
  inUse.add(data).add(signature);
  try {
    return await functions.C_SignAsync(handle, data, signature);
  } finally {
    inUse.delete(data);
    inUse.delete(signature);
  }
}

/** What the key is without is worse than what a token does not know: strict first, then plain. */
async function makePair(
  { functions, handle }: Session,
  row: AlgorithmRow,
  { generate, sign, parameters }: KeyMechanisms,
  names: readonly Attribute[],
): Promise<KeyPair> {
  const allowed = {
    type: CKA.ALLOWED_MECHANISMS,
    value: mechanismList([sign.mechanism], handle.length),
  };
  const make = (traits: readonly Attribute[]): Promise<KeyPair> =>
    functions.C_GenerateKeyPairAsync(
      handle,
      generate,
      [
        { type: CKA.TOKEN, value: true },
        { type: CKA.PRIVATE, value: false },
        { type: CKA.VERIFY, value: true },
        ...parameters,
        ...names,
      ],
      [...PRIVATE_TRAITS, ...traits, ...names],
    );
  try {
    return await make([...STRICT_TRAITS, allowed]).catch((error: unknown) => {
      if (UNKNOWN_TRAIT.has(returnValueOf(error))) return make([]);
      throw error;
    });
  } catch (error) {
    if (!CANNOT_MAKE.has(returnValueOf(error))) throw error;
    throw new KeyError(
      'ERR_KEY_INVALID',
      `The key cannot be made: the PKCS#11 token does not make keys for ${row.name}, ${describe(error)}.`,
      { cause: error },
    );
  }
}

function readPublicKey(
  { functions, handle }: Session,
  object: Handle,
  { publicAttributes, toJwk }: KeyMechanisms,
): JsonWebKey {
  let attributes: { readonly value?: Buffer }[];
  try {
    const template = publicAttributes.map((type) => ({ type }));
    attributes = functions.C_GetAttributeValue(handle, object, template);
  } catch (error) {
    if (returnValueOf(error) !== CKR.ATTRIBUTE_TYPE_INVALID) throw error;
    throw unusable('its public half is of another type');
  }
  const jwk = toJwk(attributes.flatMap(({ value }) => value ?? []));
  if (jwk === undefined) throw unusable('its public half has an unknown form');
  return jwk;
}

function rowOfLabel(label: string, kid: string, prefix: string): AlgorithmRow | undefined {
  const tail = `:${kid}`;
  if (!label.startsWith(prefix) || !label.endsWith(tail)) return undefined;
  return findAlgorithm(label.slice(prefix.length, -tail.length));
}

function readLabel({ functions, handle }: Session, object: Handle): string {
  const [label] = functions.C_GetAttributeValue(handle, object, [{ type: CKA.LABEL }]);
  return label?.value?.toString('utf8') ?? '';
}

function hasTraits(
  { functions, handle }: Session,
  object: Handle,
  traits: readonly Attribute[],
): boolean {
  const values = functions.C_GetAttributeValue(
    handle,
    object,
    traits.map(({ type }) => ({ type })),
  );
  return traits.every((trait, at) => (values[at]?.value?.[0] === 1) === trait.value);
}

function privateKeyTemplate(kid: string): Attribute[] {
  return [...objectTemplate(CKO.PRIVATE_KEY, kid), ...PRIVATE_TRAITS];
}

function publicKeyTemplate(kid: string): Attribute[] {
  return [...objectTemplate(CKO.PUBLIC_KEY, kid), { type: CKA.TOKEN, value: true }];
}

function objectTemplate(kind: number, kid: string): Attribute[] {
  return [
    { type: CKA.CLASS, value: kind },
    { type: CKA.ID, value: Buffer.from(kid) },
  ];
}

function findObjects({ functions, handle }: Session, template: Attribute[], max: number): Handle[] {
  functions.C_FindObjectsInit(handle, template);
  try {
    return functions.C_FindObjects(handle, max);
  } finally {
    functions.C_FindObjectsFinal(handle);
  }
}

function discard(functions: Cryptoki, session: Handle, object: Handle): void {
  try {
    functions.C_DestroyObject(session, object);
  } catch {
    // Nobody knows its kid, so nothing will ever be signed with it.
  }
}

/** @returns the refusal to make a key the token has no mechanism for */
export function notOffered(row: AlgorithmRow): KeyError {
  return new KeyError(
    'ERR_KEY_INVALID',
    `The key cannot be made: the PKCS#11 token does not offer ${row.name}.`,
  );
}

function unusable(reason: string): KeyError {
  return new KeyError('ERR_KEY_INVALID', `The key cannot be used: ${reason}.`);
}

/** The key is not, or no longer, in the token. */
export function keyIsGone(): KeyError {
  return tokenFailed('it does not have this key');
}
