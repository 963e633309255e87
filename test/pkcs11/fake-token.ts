import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

import {
  type Attribute,
  CKA,
  CKO,
  type Cryptoki,
  type Handle,
  type Pkcs11Package,
} from '../../lib/pkcs11/cryptoki.js';

/**
 * A PKCS#11 module that fails on demand, with one token that makes Ed25519 keys. It stands in for
 * `pkcs11js` through the option of that name, for what no real token does when asked.
 */

type Name = Exclude<keyof Cryptoki, 'load'>;

let tokens = 0;

interface StoredObject {
  readonly attributes: Map<number, Buffer>;
  readonly key: KeyObject;
}

interface OpenSession {
  found: Handle[];
  signing?: StoredObject | undefined;
  isBusy: boolean;
}

export class FakeModule {
  pin = 'fake-token-pin-0123456789';
  /** One of its own: logins are counted by it, across the process. */
  serial = `fake-${++tokens}`;
  label = 'fake';
  flags = 0x40d;
  slot = handleOf(7n);
  /** More slots that seem to hold the same token. */
  readonly slots: Handle[] = [];
  isPresent = true;
  isInitialized = false;
  isLoggedIn = false;
  /** Nothing works in it any more, although its token seems to be there, until it is finalised. */
  isStuck = false;
  renumbersOnFinalize = false;
  /** Attributes whose presence in a template makes it refuse the template. */
  refuses: readonly number[] = [];
  /** What it makes of a private key, whatever the template says. */
  overrides: ReadonlyMap<number, Buffer> = new Map();
  /** What becomes of a signature on its way out. */
  onSign: (signature: Buffer) => Buffer | Promise<Buffer> = (signature) => signature;
  /** Takes the place of the next calls of a function. */
  readonly failures: { readonly name: Name; readonly value: number }[] = [];
  readonly calls: Name[] = [];
  readonly #calledAt: number[] = [];
  /** Uses of a session in the middle of a signature: real modules answer these with nonsense. */
  overlaps = 0;
  readonly objects = new Map<bigint, StoredObject>();
  readonly #sessions = new Map<bigint, OpenSession>();
  #nextObject = 100n;
  #nextSession = 0n;

  get openSessions(): number {
    return this.#sessions.size;
  }

  count(name: Name): number {
    return this.calls.filter((call) => call === name).length;
  }

  /** Gives every object the handle of the next one, as another process may cause it. */
  renumber(): void {
    const objects = [...this.objects];
    for (const [at, [id]] of objects.entries()) {
      const stored = objects[(at + 2) % objects.length];
      if (stored !== undefined) this.objects.set(id, stored[1]);
    }
  }

  /** When a function was called, in milliseconds: callers can be late to see it. */
  times(name: Name): readonly number[] {
    return this.#calledAt.filter((_, place) => this.calls[place] === name);
  }

  fail(name: Name, value: number, times = 1): void {
    for (let time = 0; time < times; time++) this.failures.push({ name, value });
  }

  /** What `import('pkcs11js')` would give. */
  get addon(): Pkcs11Package {
    const functions = this.#functions();
    // Called with `new`, a function that returns an object makes that object.
    const PKCS11 = function fakePkcs11() {
      return functions;
    };
    return { PKCS11: PKCS11 as never, CK_PARAMS_RSA_PSS: 5 };
  }

  #functions(): Cryptoki {
    const call = <T>(name: Name, work: () => T): T => {
      this.calls.push(name);
      this.#calledAt.push(performance.now());
      const at = this.failures.findIndex((failure) => failure.name === name);
      if (at >= 0) throw fault(this.failures.splice(at, 1)[0]?.value ?? 5);
      if (!this.isInitialized && name !== 'C_Initialize') throw fault(0x190);
      return work();
    };
    const present = (): void => {
      if (!this.isPresent) throw fault(0xe0);
    };
    const sessionOf = (session: Handle): OpenSession => {
      present();
      if (this.isStuck) throw fault(0x30);
      const open = this.#sessions.get(session.readBigUInt64LE());
      if (open === undefined) throw fault(0xb3);
      if (open.isBusy) this.overlaps++;
      return open;
    };
    const objectOf = (object: Handle): StoredObject => {
      const stored = this.objects.get(object.readBigUInt64LE());
      if (stored === undefined) throw fault(0x82);
      return stored;
    };
    return {
      load: () => undefined,
      C_Initialize: () =>
        call('C_Initialize', () => {
          if (this.isInitialized) throw fault(0x191);
          this.isInitialized = true;
        }),
      C_Finalize: () =>
        call('C_Finalize', () => {
          this.isInitialized = false;
          this.isLoggedIn = false;
          this.isStuck = false;
          this.#sessions.clear();
          if (this.renumbersOnFinalize) this.renumber();
          // As SoftHSM2 does it: a session of before is then somebody else's.
          this.#nextSession = 0n;
        }),
      C_GetSlotList: () =>
        call('C_GetSlotList', () => (this.isPresent ? [this.slot, ...this.slots] : [])),
      C_GetTokenInfo: () =>
        call('C_GetTokenInfo', () => {
          present();
          return {
            label: this.label.padEnd(32),
            serialNumber: this.serial.padEnd(16),
            flags: this.flags,
          };
        }),
      C_GetMechanismList: () => call('C_GetMechanismList', () => [0x1055, 0x1057]),
      C_OpenSession: () =>
        call('C_OpenSession', () => {
          present();
          if (this.isStuck) throw fault(0x30);
          this.#sessions.set(++this.#nextSession, { found: [], isBusy: false });
          return handleOf(this.#nextSession);
        }),
      C_CloseSession: (session) =>
        call('C_CloseSession', () => {
          if (!this.#sessions.delete(session.readBigUInt64LE())) throw fault(0xb3);
          if (this.#sessions.size === 0) this.isLoggedIn = false;
        }),
      C_GetSessionInfo: (session) =>
        call('C_GetSessionInfo', () => {
          sessionOf(session);
          return { state: this.isLoggedIn ? 3 : 2 };
        }),
      C_Login: (session, _, pin) =>
        call('C_Login', () => {
          sessionOf(session);
          if (this.isLoggedIn) throw fault(0x100);
          if (pin !== this.pin) throw fault(0xa0);
          this.isLoggedIn = true;
        }),
      C_FindObjectsInit: (session, template) =>
        call('C_FindObjectsInit', () => {
          sessionOf(session).found = [...this.objects]
            .filter(([, { attributes }]) => isLike(attributes, template))
            .map(([id]) => handleOf(id));
        }),
      C_FindObjects: (session, max) =>
        call('C_FindObjects', () => sessionOf(session).found.splice(0, max)),
      C_FindObjectsFinal: (session) => call('C_FindObjectsFinal', () => void sessionOf(session)),
      C_GetAttributeValue: (session, object, template) =>
        call('C_GetAttributeValue', () => {
          sessionOf(session);
          const { attributes } = objectOf(object);
          return template.map(({ type }) => {
            const value = attributes.get(type);
            if (value === undefined) throw fault(0x12);
            return { value };
          });
        }),
      C_DestroyObject: (session, object) =>
        call('C_DestroyObject', () => {
          sessionOf(session);
          objectOf(object);
          this.objects.delete(object.readBigUInt64LE());
        }),
      C_GenerateKeyPairAsync: async (session, _, publicKey, privateKey) =>
        call('C_GenerateKeyPairAsync', () => {
          sessionOf(session);
          if (privateKey.some(({ type }) => this.refuses.includes(type))) throw fault(0x12);
          const pair = generateKeyPairSync('ed25519');
          return {
            publicKey: this.#store(CKO.PUBLIC_KEY, pair.publicKey, publicKey),
            privateKey: this.#store(CKO.PRIVATE_KEY, pair.privateKey, privateKey),
          };
        }),
      C_SignInit: (session, _, key) =>
        call('C_SignInit', () => {
          const open = sessionOf(session);
          if (open.signing !== undefined) throw fault(0x90);
          open.signing = objectOf(key);
        }),
      C_SignAsync: async (session, data) => {
        const { open, signature } = call('C_SignAsync', () => {
          const open = sessionOf(session);
          const { signing } = open;
          open.signing = undefined;
          if (signing === undefined) throw fault(0x91);
          return { open, signature: sign(null, data, signing.key) };
        });
        open.isBusy = true;
        try {
          return await this.onSign(signature);
        } finally {
          open.isBusy = false;
        }
      },
    };
  }

  #store(kind: number, key: KeyObject, template: readonly Attribute[]): Handle {
    const attributes = new Map(template.map(({ type, value }) => [type, bytesOf(value)]));
    attributes.set(CKA.CLASS, bytesOf(kind));
    if (kind === CKO.PUBLIC_KEY) attributes.set(CKA.EC_POINT, pointOf(key));
    else for (const [type, value] of this.overrides) attributes.set(type, value);
    this.objects.set(++this.#nextObject, { attributes, key });
    return handleOf(this.#nextObject);
  }
}

/** An error as `pkcs11js` makes one. */
export function fault(value: number): Error {
  const error = new Error(`CKR_FAULT_${value.toString(16).toUpperCase()}`);
  return Object.assign(error, { name: 'Pkcs11Error', code: value });
}

export function handleOf(value: bigint): Handle {
  const handle = Buffer.alloc(8);
  handle.writeBigUInt64LE(value);
  return handle;
}

function bytesOf(value: Attribute['value']): Buffer {
  if (typeof value === 'boolean') return Buffer.from([Number(value)]);
  if (typeof value === 'number') return handleOf(BigInt(value));
  return Buffer.from(value ?? '');
}

function isLike(attributes: ReadonlyMap<number, Buffer>, template: readonly Attribute[]): boolean {
  return template.every(({ type, value }) => attributes.get(type)?.equals(bytesOf(value)));
}

function pointOf(key: KeyObject): Buffer {
  const { x = '' } = key.export({ format: 'jwk' });
  return Buffer.concat([Buffer.from([4, 32]), Buffer.from(x, 'base64url')]);
}
