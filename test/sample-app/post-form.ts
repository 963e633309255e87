import { recordOutput } from '../support/witness.js';

export interface FormAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** Posts a form as an OAuth client does, with its id and secret in the header (RFC 6749 §2.3.1). */
export async function postForm(
  url: string,
  form: Readonly<Record<string, string>> | URLSearchParams,
  {
    clientId = 'ledger-web',
    secret,
  }: { readonly clientId?: string; readonly secret?: string } = {},
): Promise<FormAnswer> {
  const credentials = Buffer.from(`${clientId}:${secret ?? ''}`).toString('base64');
  const answer = await fetch(url, {
    method: 'POST',
    headers: secret === undefined ? {} : { Authorization: `Basic ${credentials}` },
    body: new URLSearchParams(form),
  });
  const body = await answer.text();
  recordOutput(body);
  return { status: answer.status, headers: answer.headers, body };
}
