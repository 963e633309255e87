import { ADAPTERS, ISSUER } from '../support/guarded-app.js';
import { AUTHORIZE, type FlowApp, METADATA, startCodeFlow } from './code-flow-app.js';

describe.each(ADAPTERS)('GET /.well-known/oauth-authorization-server on %s', (adapter) => {
  let flow: FlowApp;

  beforeAll(async () => {
    flow = await startCodeFlow(adapter, { introspectionPath: '/oauth/introspect' });
  });
  afterAll(() => flow.close());

  it('describes what is there (RFC 8414 §2)', async () => {
    const { status, headers, body } = await flow.send(METADATA);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': expect.stringMatching(/^application\/json\b/),
      'cache-control': 'public, max-age=3600',
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
    });
    expect(JSON.parse(body)).toEqual({
      issuer: ISSUER,
      authorization_endpoint: `${ISSUER}/oauth/authorize`,
      token_endpoint: `${ISSUER}/oauth/token`,
      token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
      revocation_endpoint: `${ISSUER}/oauth/revoke`,
      revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
      introspection_endpoint: `${ISSUER}/oauth/introspect`,
      introspection_endpoint_auth_methods_supported: ['client_secret_basic'],
      jwks_uri: `${ISSUER}/.well-known/jwks.json`,
      scopes_supported: ['accounts:read', 'transfers:write'],
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      request_uri_parameter_supported: false,
    });
  });

  it('says 304 to who has it already', async () => {
    const { headers } = await flow.send(METADATA);
    const etag = String(headers.etag);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const again = await flow.send(METADATA, { headers: { 'if-none-match': known } });
      expect([again.status, again.body]).toEqual([304, '']);
      expect(again.headers.etag).toBe(etag);
    }
    const other = await flow.send(METADATA, { headers: { 'if-none-match': '"x"' } });
    expect(other.status).toBe(200);
  });
});

describe('the metadata', () => {
  const describedBy = async (options: Parameters<typeof startCodeFlow>[1]) => {
    const flow = await startCodeFlow('express', options);
    try {
      const { body } = await flow.send(options?.metadataPath ?? METADATA);
      return JSON.parse(body) as Record<string, unknown>;
    } finally {
      await flow.close();
    }
  };

  it('names no endpoint that is not there', async () => {
    const extras = { authorizationPath: null, revocationPath: null, jwksPath: null };
    expect(await describedBy(extras)).toEqual({
      issuer: ISSUER,
      token_endpoint: `${ISSUER}/oauth/token`,
      token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
      scopes_supported: ['accounts:read', 'transfers:write'],
      response_types_supported: [],
      grant_types_supported: ['refresh_token'],
    });
  });

  it('is where clients look for that of an issuer with a path (RFC 8414 §3)', async () => {
    const metadataPath = `${METADATA}/tenant-a`;
    const issuer = 'https://issuer.example/tenant-a';
    expect(await describedBy({ issuer, metadataPath })).toMatchObject({
      issuer,
      token_endpoint: 'https://issuer.example/oauth/token',
    });
  });

  const problemsOf = (options: Parameters<typeof startCodeFlow>[1]) =>
    startCodeFlow('express', options).then(
      async (flow) => {
        await flow.close();
        return [];
      },
      ({ problems }: { readonly problems: readonly { readonly path: string }[] }) => problems,
    );

  it.each<readonly [rule: string, options: Parameters<typeof startCodeFlow>[1], path: RegExp]>([
    ['where nobody looks for it', { issuer: 'https://a.example/tenant' }, /^metadataPath$/],
    ['without a token endpoint', { tokenPath: null }, /^authorizationPath$/],
    ['at the path of another', { metadataPath: AUTHORIZE }, /^metadataPath$/],
    ['without clients', { clients: [] }, /^(?:authorization|token)Path$/],
    ['of an issuer that is no URL', { issuer: 'me' }, /^issuer$/],
    ['of an issuer with a query', { issuer: 'https://a.example/?x' }, /^issuer$/],
    ['of an issuer with a fragment', { issuer: 'https://a.example/#x' }, /^issuer$/],
    ['of an issuer on http', { issuer: 'http://a.example' }, /^issuer$/],
  ])('stops the start %s', async (_rule, options, path) => {
    const paths = (await problemsOf(options)).map((problem) => problem.path);
    expect(paths.filter((found) => path.test(found))).not.toEqual([]);
  });

  it('may be that of an issuer on this machine', async () => {
    expect(await problemsOf({ issuer: 'http://localhost:3000' })).toEqual([]);
  });
});
