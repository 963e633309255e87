import { hash } from 'node:crypto';

import { ClientAddress } from '../../lib/binding/client-address.js';
import { ClientCertificates } from '../../lib/binding/mtls/client-certificates.js';
import { type SenderParts, SenderProofs } from '../../lib/binding/sender-proofs.service.js';
import { SecurityEvents } from '../../lib/events/security-events.js';
import { TestClock } from '../support/test-clock.js';
import { newHolder, openService, proofOf, requestWith } from './dpop/proof-mother.js';

/** What a request for tokens shows of its sender. */

const CERTIFICATE = hash('sha256', 'a certificate', 'base64url');

class ShownCertificate extends ClientCertificates {
  constructor() {
    super({ certificates: 'any', proxyHeader: null, trustedProxies: [] });
  }

  override thumbprintOf(): string {
    return CERTIFICATE;
  }
}

function open(parts: Partial<SenderParts>) {
  const clock = new TestClock();
  const service = openService({ clock });
  const senders = new SenderProofs({
    dpop: service.proofs,
    certificates: null,
    fingerprints: null,
    addresses: new ClientAddress([]),
    readCookie: () => undefined,
    required: [],
    events: new SecurityEvents(),
    clock,
    ...parts,
  });
  const prove = async (): Promise<ReturnType<SenderProofs['prove']>> =>
    senders.prove(requestWith(await proofOf(holder, clock, { claims: { ath: undefined } })));
  return { senders, prove };
}

let holder: Awaited<ReturnType<typeof newHolder>>;
beforeAll(async () => {
  holder = await newHolder();
});

describe('what a request shows', () => {
  it('is the key of its proof, which is used up later', async () => {
    const { senders, prove } = open({});
    const { binding } = await prove();
    expect(binding).toMatchObject({ kind: 'dpop', value: holder.jkt });
    await binding?.use?.();
    await expect(binding?.use?.()).rejects.toMatchObject({ code: 'ERR_PROOF_REPLAYED' });
    expect(await senders.prove(requestWith([]))).toEqual({});
  });

  it('is its key before its certificate, unless only the certificate is demanded', async () => {
    const certificates = new ShownCertificate();
    expect((await open({ certificates }).prove()).binding).toMatchObject({ kind: 'dpop' });
    const demanding = open({ certificates, required: ['mtls'] });
    expect((await demanding.prove()).binding).toEqual({ kind: 'mtls', value: CERTIFICATE });
  });

  it('has to be a proof where one is required', async () => {
    const { senders } = open({ required: ['dpop'] });
    await expect(senders.prove(requestWith([]))).rejects.toMatchObject({
      code: 'ERR_PROOF_MISSING',
    });
  });
});
