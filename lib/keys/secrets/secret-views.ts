/**
 * The readings of a secret that someone who guesses would try as well: hexadecimal, base64, percent
 * encoding and UTF-16 are spellings, they add nothing to what is spelled.
 */

/** One reading of a secret. */
export interface SecretView {
  readonly bytes: Buffer;
  /** The bits it takes to tell which reading this is; each step and each dropped byte costs 8. */
  readonly cost: number;
}

/** Base64 of base64 of a password occurs in the field; a fourth layer does not. */
const MAX_DEPTH = 3;

/** As many bits as name one of the readings below, with room to spare. */
const STEP = 8;

/** The secret as it stands and, innermost last, everything it can be read as. */
export function viewsOf(secret: Buffer): readonly SecretView[] {
  const views: SecretView[] = [];
  const visit = (view: SecretView, depth: number): void => {
    if (view.bytes.length === 0) return;
    views.push(view);
    if (depth === MAX_DEPTH) return;
    for (const read of [
      trimmed,
      unquoted,
      fromGroups,
      fromHex,
      fromBase64,
      fromPercent,
      fromUtf16,
    ]) {
      const inner = read(view.bytes);
      if (inner === undefined) continue;
      visit({ bytes: inner.bytes, cost: view.cost + STEP + inner.cost }, depth + 1);
    }
  };
  visit({ bytes: secret, cost: 0 }, 0);
  return views;
}

type Reading = SecretView | undefined;

/** Without white space, NULs and a byte order mark around it. */
function trimmed(bytes: Buffer): Reading {
  const text = bytes.toString('latin1');
  const inner = text.replace(/^(?:ï»¿|[\s\0])+|[\s\0]+$/g, '');
  if (inner.length === text.length) return undefined;
  return { bytes: Buffer.from(inner, 'latin1'), cost: (text.length - inner.length) * 8 };
}

/** Without the quotes that a shell or an environment file should have taken away. */
function unquoted(bytes: Buffer): Reading {
  const inner = /^(["'`])(.*)\1$/s.exec(bytes.toString('latin1'))?.[2];
  return inner === undefined ? undefined : { bytes: Buffer.from(inner, 'latin1'), cost: 2 };
}

function fromHex(bytes: Buffer): Reading {
  const text = bytes.toString('latin1');
  // One case only: the case of mixed digits would say something that the bytes do not.
  const digits = /^(?:0x)?((?:[0-9a-f]{2})+|(?:[0-9A-F]{2})+)$/.exec(text)?.[1];
  return digits === undefined ? undefined : { bytes: Buffer.from(digits, 'hex'), cost: 1 };
}

/** Hexadecimal in groups, as in a UUID or a fingerprint. */
function fromGroups(bytes: Buffer): Reading {
  const text = bytes.toString('latin1').replace(/^urn:uuid:|^[{(<]|[})>]$/g, '');
  if (!/^[0-9a-fA-F]+(?:[-: ][0-9a-fA-F]+)+$/.test(text)) return undefined;
  return { bytes: Buffer.from(text.replace(/[-: ]/g, ''), 'latin1'), cost: STEP };
}

/** Base64 or base64url, on one line or several, cut off or not. */
function fromBase64(bytes: Buffer): Reading {
  const text = bytes.toString('latin1').replace(/\\[rn]/g, '\n');
  if (!/^[A-Za-z0-9+/_\s-]{8,}={0,2}\s*$/.test(text)) return undefined;
  const joined = text.replace(/[\s=]+/g, '');
  // Of an incomplete group at the end, `Buffer.from` drops the bits that make no byte.
  const decoded = Buffer.from(joined, 'base64');
  const spelled = Math.floor(decoded.length / 3) * 4;
  const spaces = (joined.length === text.replace(/=+$/, '').length ? 0 : 1) * 16;
  return { bytes: decoded, cost: (joined.length - spelled) * 6 + spaces };
}

function fromPercent(bytes: Buffer): Reading {
  const text = bytes.toString('latin1');
  const escapes = text.match(/%[0-9A-Fa-f]{2}/g)?.length ?? 0;
  if (escapes === 0) return undefined;
  const inner = text.replace(/%([0-9A-Fa-f]{2})/g, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return { bytes: Buffer.from(inner, 'latin1'), cost: escapes * 2 };
}

/** Text in UTF-16 of either byte order, all of it in the first 256 characters. */
function fromUtf16(bytes: Buffer): Reading {
  if (bytes.length < 8 || bytes.length % 2 === 1) return undefined;
  const zeros = (offset: number): boolean =>
    bytes.every((byte, at) => at % 2 !== offset || byte === 0);
  if (!zeros(0) && !zeros(1)) return undefined;
  const offset = zeros(1) ? 0 : 1;
  return { bytes: Buffer.from(bytes.filter((_byte, at) => at % 2 === offset)), cost: 1 };
}
