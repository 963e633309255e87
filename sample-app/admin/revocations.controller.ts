import { Body, Controller, HttpCode, Logger, Post } from '@nestjs/common';
import { type Revoked, RevocationService, Roles } from 'nest-jwt-hardening';

import { malformed } from '../http/json-body.js';
import { RequestId } from '../http/request-id.js';
import { readRevocationOrder, type RevocationOrder } from './revocation-order.js';

/** Ends tokens of others, before they expire. */
@Roles('admin')
@Controller('admin/revocations')
export class RevocationsController {
  readonly #logger = new Logger('Admin');

  constructor(private readonly revocations: RevocationService) {}

  /**
   * Answered once the store has it and this instance enforces it; the others follow within a second.
   * Who ends everything, or their own subject or session, is logged out by it, too.
   */
  @Post()
  @HttpCode(202)
  async revoke(@Body() body: unknown, @RequestId() requestId: string): Promise<Revoked> {
    const order = readRevocationOrder(body);
    const { kind, since, until } = await this.#carryOut(order);
    // An `exp` that is over, leeway included: nothing was kept, so nothing is acknowledged. Most likely
    // it is not the token's own `exp`, and the token lives.
    if (until <= since) throw malformed();
    // Beside the event `revocation.made`, so that an answer and its trace can be told to belong together.
    this.#logger.warn(
      `revocation.ordered requestId=${requestId} kind=${kind} since=${since.toISOString()}`,
    );
    return { kind, since, until };
  }

  #carryOut(order: RevocationOrder): Promise<Revoked> {
    switch (order.kind) {
      case 'token':
        return this.revocations.revokeToken(order.jti, order.exp);
      case 'session':
        return this.revocations.revokeSession(order.sid);
      case 'subject':
        return this.revocations.revokeSubject(order.sub);
      case 'everything':
        return this.revocations.revokeAll();
    }
  }
}
