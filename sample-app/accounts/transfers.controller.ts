import { randomUUID } from 'node:crypto';

import { Controller, Post } from '@nestjs/common';
import { RequireStepUp, Scopes } from 'nest-jwt-hardening';

interface Transfer {
  readonly id: string;
  readonly status: 'accepted';
}

/** Who holds a token that was left lying about for some minutes moves no money with it. */
@Scopes('transfers:write')
@RequireStepUp({ maxAge: '5m' })
@Controller('transfers')
export class TransfersController {
  /** The demo has no money to move, and does not look at what the body says of it. */
  @Post()
  create(): Transfer {
    return { id: `TRF-${randomUUID()}`, status: 'accepted' };
  }
}
