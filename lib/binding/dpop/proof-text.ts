import { type CompactText, splitCompact } from '../../kernel/compact-text.js';
import { ProofError } from '../../kernel/errors.js';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../kernel/strict-json.js';
import { type AlgorithmRow, algorithmRow, type SigningAlgorithm } from '../../keys/algorithms.js';

/**
 * A DPoP proof as text (RFC 9449 §4.2): what its header and its claims have to look like before they
 * are compared with anything. Nothing here is believed yet.
 */

/** Characters; room for a key and a signature of ML-DSA-44. */
const LIMITS = { whole: 8192, header: 4096 };

/** Characters. It is digested, not kept; an honest one is a UUID or the like. */
const MAX_JTI_LENGTH = 256;

const TYPE = /^(?:application\/)?dpop\+jwt$/i;

/**
 * Members that name another key than `jwk`, or that make the text mean something else to who honours
 * them (RFC 8725 §3.10). Others say nothing, and are ignored as RFC 7515 §4 asks.
 */
const FORBIDDEN_MEMBERS = [
  'jku',
  'x5u',
  'x5c',
  'x5t',
  'x5t#S256',
  'crit',
  'b64',
  'zip',
  'enc',
  'cty',
  'epk',
  'apu',
  'apv',
  'iv',
  'tag',
  'p2s',
  'p2c',
] as const;

// oxlint-disable-next-line no-control-regex -- these are what it is about
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** The header of a proof: its algorithm is one that is taken, its key is not read yet. */
export interface ProofHeader {
  readonly row: AlgorithmRow;
  readonly jwk: JsonObject;
}

/** The claims of a proof, each of its type. Instants in seconds. */
export interface ProofClaims {
  readonly jti: string;
  readonly htm: string;
  readonly htu: string;
  readonly iat: number;
  readonly exp: number | undefined;
  readonly nbf: number | undefined;
  readonly ath: string | undefined;
  readonly nonce: string | undefined;
}

/**
 * Splits a proof into its parts.
 * @throws ProofError `ERR_PROOF_FORMAT`
 */
export function splitProof(text: string): CompactText {
  const parts = splitCompact(text, LIMITS);
  if (typeof parts === 'string') throw malformed(parts);
  return parts;
}

/**
 * Reads the header part: `typ`, then `alg`, then that there is a key.
 * @throws ProofError `ERR_PROOF_FORMAT`, `ERR_PROOF_ALGORITHM`, `ERR_PROOF_KEY`
 */
export function readProofHeader(
  part: string,
  algorithms: readonly SigningAlgorithm[],
): ProofHeader {
  const members = readJson(part, 'the header');
  if (FORBIDDEN_MEMBERS.some((name) => name in members)) {
    throw malformed('the header has a member that is never honoured');
  }
  const { typ, alg, jwk } = members;
  if (typeof typ !== 'string' || !TYPE.test(typ)) throw malformed('typ is not dpop+jwt');
  const algorithm = algorithms.find((name) => name === alg);
  if (algorithm === undefined) {
    throw new ProofError('ERR_PROOF_ALGORITHM', 'alg is not one of those accepted');
  }
  if (!isJsonObject(jwk)) throw new ProofError('ERR_PROOF_KEY', 'jwk is missing or no object');
  return { row: algorithmRow(algorithm), jwk };
}

/**
 * Reads the claims. Those that RFC 9449 does not know are ignored, but for `exp` and `nbf`, which mean
 * what they mean in every JWT (RFC 7519 §4.1).
 * @throws ProofError `ERR_PROOF_FORMAT`
 */
export function readProofClaims(part: string): ProofClaims {
  const { jti, htm, htu, iat, exp, nbf, ath, nonce } = readJson(part, 'the payload');
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH || CONTROL.test(jti)) {
    throw malformed('jti is missing, too long, or not a plain text');
  }
  if (typeof htm !== 'string' || typeof htu !== 'string') {
    throw malformed('htm or htu is missing or not a string');
  }
  if (!isInstant(iat)) throw malformed('iat is missing or not a number');
  if (!isOptional(exp, isInstant) || !isOptional(nbf, isInstant)) {
    throw malformed('exp or nbf is not a number');
  }
  if (!isOptional(ath, isString)) throw malformed('ath is not a string');
  if (!isOptional(nonce, isString)) throw malformed('nonce is not a string');
  return { jti, htm, htu, iat, exp, nbf, ath, nonce };
}

function readJson(part: string, name: string): JsonObject {
  const parsed = parseStrictJson(Buffer.from(part, 'base64url'));
  if (typeof parsed === 'string') throw malformed(`${name}: ${parsed}`);
  return parsed;
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isOptional<T>(
  value: unknown,
  isOne: (value: unknown) => value is T,
): value is T | undefined {
  return value === undefined || isOne(value);
}

function malformed(detail: string): ProofError {
  return new ProofError('ERR_PROOF_FORMAT', detail);
}
