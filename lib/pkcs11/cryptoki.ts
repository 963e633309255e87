/**
 * What this package uses of PKCS#11 (2.40, and EdDSA of 3.0), in the shape the addon `pkcs11js` gives
 * it. Nothing else is ever called.
 */

/** A slot, session or object, as the bytes of a `CK_ULONG` of this machine. */
export type Handle = Buffer;

export interface Attribute {
  readonly type: number;
  readonly value?: number | boolean | string | Buffer;
}

/** The parameters of RSASSA-PSS. */
export interface PssParameters {
  /** Which structure this is, in the counting of `pkcs11js`. */
  readonly type: number;
  readonly hashAlg: number;
  readonly mgf: number;
  readonly saltLen: number;
}

export interface Mechanism {
  readonly mechanism: number;
  readonly parameter?: PssParameters;
}

export interface TokenInfo {
  readonly label: string;
  readonly serialNumber: string;
  readonly flags: number;
}

export interface KeyPair {
  readonly publicKey: Handle;
  readonly privateKey: Handle;
}

/** The functions in use. All but the two `…Async` run on the calling thread. */
export interface Cryptoki {
  load(path: string): void;
  C_Initialize(options: { readonly flags: number }): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): TokenInfo;
  C_GetMechanismList(slot: Handle): number[];
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_GetSessionInfo(session: Handle): { readonly state: number };
  C_Login(session: Handle, userType: number, pin: string): void;
  C_FindObjectsInit(session: Handle, template: Attribute[]): void;
  C_FindObjects(session: Handle, max: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(
    session: Handle,
    object: Handle,
    template: Attribute[],
  ): { readonly value?: Buffer }[];
  C_DestroyObject(session: Handle, object: Handle): void;
  C_GenerateKeyPairAsync(
    session: Handle,
    mechanism: Mechanism,
    publicKey: Attribute[],
    privateKey: Attribute[],
  ): Promise<KeyPair>;
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_SignAsync(session: Handle, data: Buffer, signature: Buffer): Promise<Buffer>;
}

/** The part of the package `pkcs11js` in use. */
export interface Pkcs11Package {
  readonly PKCS11: new () => Cryptoki;
  readonly CK_PARAMS_RSA_PSS: number;
}

export function isPkcs11Package(value: unknown): value is Pkcs11Package {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'PKCS11' in value &&
    typeof value.PKCS11 === 'function' &&
    'CK_PARAMS_RSA_PSS' in value &&
    typeof value.CK_PARAMS_RSA_PSS === 'number'
  );
}

export const CKF = {
  /** C_Initialize: the library locks by itself, for it is called from the thread pool too. */
  OS_LOCKING_OK: 0x2,
  /** C_OpenSession. */
  RW_SESSION: 0x2,
  SERIAL_SESSION: 0x4,
  /** Of a token. */
  TOKEN_INITIALIZED: 0x400,
  USER_PIN_FINAL_TRY: 0x20000,
  USER_PIN_LOCKED: 0x40000,
} as const;

/** The state of a read-write session whose user is logged in. */
export const CKS_RW_USER_FUNCTIONS = 3;
export const CKU_USER = 1;

export const CKO = { PUBLIC_KEY: 2, PRIVATE_KEY: 3 } as const;

export const CKA = {
  CLASS: 0x0,
  TOKEN: 0x1,
  PRIVATE: 0x2,
  LABEL: 0x3,
  ID: 0x102,
  SENSITIVE: 0x103,
  DECRYPT: 0x105,
  UNWRAP: 0x107,
  SIGN: 0x108,
  SIGN_RECOVER: 0x109,
  VERIFY: 0x10a,
  DERIVE: 0x10c,
  MODULUS: 0x120,
  MODULUS_BITS: 0x121,
  PUBLIC_EXPONENT: 0x122,
  EXTRACTABLE: 0x162,
  MODIFIABLE: 0x170,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
  ALLOWED_MECHANISMS: 0x40000600,
} as const;

/** Return values that mean something of their own here. */
export const CKR = {
  ATTRIBUTE_TYPE_INVALID: 0x12,
  ATTRIBUTE_VALUE_INVALID: 0x13,
  MECHANISM_INVALID: 0x70,
  PIN_INCORRECT: 0xa0,
  PIN_INVALID: 0xa1,
  PIN_LEN_RANGE: 0xa2,
  PIN_EXPIRED: 0xa3,
  PIN_LOCKED: 0xa4,
  TEMPLATE_INCOMPLETE: 0xd0,
  TEMPLATE_INCONSISTENT: 0xd1,
  USER_ALREADY_LOGGED_IN: 0x100,
  DOMAIN_PARAMS_INVALID: 0x130,
  CURVE_NOT_SUPPORTED: 0x140,
  CRYPTOKI_ALREADY_INITIALIZED: 0x191,
} as const;

/** The return value of the library an error of `pkcs11js` stands for. */
export function returnValueOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || error.name !== 'Pkcs11Error') return undefined;
  return 'code' in error && typeof error.code === 'number' ? error.code : undefined;
}
