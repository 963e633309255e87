/** A challenge of RFC 9110 §11.6.1, read. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** A quoted string without escapes: all that RFC 6750 §3 needs for its attributes. */
const PARAMETER = new RegExp(`^(${TOKEN})="([\\x20-\\x21\\x23-\\x5b\\x5d-\\x7e]*)"(?:, |$)`);

/**
 * Reads one challenge as a strict client would, so that a quote or a line break that got into a
 * header fails a test.
 */
export function parseChallenge(text: string | undefined): Challenge {
  const head = new RegExp(`^(${TOKEN})(?: (?=.)|$)`).exec(text ?? '');
  if (text === undefined || head === null) throw new Error('it is not a challenge');
  const parameters: Record<string, string> = {};
  let rest = text.slice(head[0].length);
  while (rest !== '') {
    const parameter = PARAMETER.exec(rest);
    if (parameter === null) throw new Error('it has a malformed parameter');
    const [whole, name = '', value = ''] = parameter;
    if (Object.hasOwn(parameters, name)) throw new Error(`it has ${name} twice`);
    parameters[name] = value;
    rest = rest.slice(whole.length);
  }
  return { scheme: head[1] ?? '', parameters };
}
