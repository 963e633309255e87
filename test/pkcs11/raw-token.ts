import { CKA, CKO, type Cryptoki, type Handle } from '../../lib/pkcs11/cryptoki.js';

/** Looks at a token, and puts objects into it, past the vault: straight through `pkcs11js`. */

export interface TokenAccess {
  readonly module: string;
  readonly label: string;
  readonly pin: string;
}

/** What the vault has no use for. */
interface RawCryptoki extends Cryptoki {
  C_GenerateKey(session: Handle, mechanism: object, template: object[]): Handle;
  C_GenerateKeyPair(
    session: Handle,
    mechanism: object,
    publicKey: object[],
    privateKey: object[],
  ): { readonly privateKey: Handle };
  C_WrapKey(session: Handle, mechanism: object, by: Handle, key: Handle, out: Buffer): Buffer;
  C_SetAttributeValue(session: Handle, object: Handle, template: object[]): void;
}

export type RawAddon = Readonly<Record<string, unknown>> & {
  readonly PKCS11: new () => RawCryptoki;
};

export async function rawAddon(): Promise<RawAddon> {
  const loaded = (await import('pkcs11js')) as { readonly default: RawAddon };
  return loaded.default;
}

const AES_KEY_GEN = 0x1080;
const AES_KEY_WRAP_PAD = 0x210a;
const EC_KEY_PAIR_GEN = 0x1040;
const RSA_PKCS = 0x1;
const P256 = Buffer.from('06082a8648ce3d030107', 'hex');

/** The private halves with this `kid`: their attributes, and what came of trying to get one out. */
export async function inspectKey(access: TokenAccess, kid: string): Promise<object> {
  return withToken(access, (token, session) => {
    const [key, ...others] = privateKeys(token, session, kid);
    if (key === undefined || others.length > 0) throw new Error('there is not exactly one');
    const read = (type: number): string =>
      attempt(
        () =>
          token.C_GetAttributeValue(session, key, [{ type }])[0]?.value?.toString('hex') ??
          'nothing',
      );
    const wrapping = token.C_GenerateKey(session, { mechanism: AES_KEY_GEN }, [
      { type: CKA.CLASS, value: 4 },
      { type: CKA.TOKEN, value: false },
      { type: 0x161, value: 32 },
      { type: 0x106, value: true },
    ]);
    return {
      token: read(CKA.TOKEN),
      private: read(CKA.PRIVATE),
      sensitive: read(CKA.SENSITIVE),
      extractable: read(CKA.EXTRACTABLE),
      neverExtractable: read(0x164),
      sign: read(CKA.SIGN),
      decrypt: read(CKA.DECRYPT),
      unwrap: read(CKA.UNWRAP),
      derive: read(CKA.DERIVE),
      // CKA_VALUE of an elliptic curve key, CKA_PRIVATE_EXPONENT and CKA_PRIME_1 of RSA.
      value: [0x11, 0x123, 0x124].map(read),
      wrapped: attempt(() =>
        token
          .C_WrapKey(session, { mechanism: AES_KEY_WRAP_PAD }, wrapping, key, Buffer.alloc(8_192))
          .toString('hex'),
      ),
      relabelled: attempt(() => {
        token.C_SetAttributeValue(session, key, [{ type: CKA.LABEL, value: 'jwt:ES384:a' }]);
        return 'done';
      }),
      otherMechanism: attempt(() => {
        token.C_SignInit(session, { mechanism: RSA_PKCS }, key);
        return 'done';
      }),
    };
  });
}

/** Keys that look like the vault's in all but one thing. Answers how many there are now. */
export async function plantKeys(
  access: TokenAccess,
  plants: readonly { readonly kid: string; readonly label: string; readonly traits?: object }[],
): Promise<number> {
  return withToken(access, (token, session) => {
    for (const { kid, label, traits = {} } of plants) {
      const names = [
        { type: CKA.TOKEN, value: true },
        { type: CKA.ID, value: Buffer.from(kid) },
        { type: CKA.LABEL, value: label },
      ];
      const secrecy = { [CKA.SENSITIVE]: true, [CKA.EXTRACTABLE]: false, ...traits };
      token.C_GenerateKeyPair(
        session,
        { mechanism: EC_KEY_PAIR_GEN },
        [...names, { type: CKA.EC_PARAMS, value: P256 }],
        [
          ...names,
          { type: CKA.PRIVATE, value: true },
          { type: CKA.SIGN, value: true },
          ...Object.entries(secrecy).map(([type, value]) => ({ type: Number(type), value })),
        ],
      );
    }
    return privateKeys(token, session).length;
  });
}

/** The tokens, in the order of their slots. */
export async function listTokens({
  module,
}: TokenAccess): Promise<readonly { readonly label: string; readonly serial: string }[]> {
  return withModule(module, (token) =>
    token.C_GetSlotList(true).map((slot) => {
      const { label, serialNumber } = token.C_GetTokenInfo(slot);
      return { label: label.trim(), serial: serialNumber.trim() };
    }),
  );
}

function privateKeys(token: RawCryptoki, session: Handle, kid?: string): readonly Handle[] {
  token.C_FindObjectsInit(session, [
    { type: CKA.CLASS, value: CKO.PRIVATE_KEY },
    ...(kid === undefined ? [] : [{ type: CKA.ID, value: Buffer.from(kid) }]),
  ]);
  const found = token.C_FindObjects(session, 100);
  token.C_FindObjectsFinal(session);
  return found;
}

async function withModule<T>(module: string, work: (token: RawCryptoki) => T): Promise<T> {
  const { PKCS11 } = await rawAddon();
  const token = new PKCS11();
  token.load(module);
  token.C_Initialize({ flags: 2 });
  try {
    return work(token);
  } finally {
    token.C_Finalize();
  }
}

function withToken<T>(
  { module, label, pin }: TokenAccess,
  work: (token: RawCryptoki, session: Handle) => T,
): Promise<T> {
  return withModule(module, (token) => {
    const slot = token
      .C_GetSlotList(true)
      .find((candidate) => token.C_GetTokenInfo(candidate).label.trim() === label);
    if (slot === undefined) throw new Error('there is no such token');
    const session = token.C_OpenSession(slot, 6);
    token.C_Login(session, 1, pin);
    return work(token, session);
  });
}

function attempt(work: () => string): string {
  try {
    return work();
  } catch (error) {
    return (error as Error).message;
  }
}
