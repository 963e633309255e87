import { Logger } from '@nestjs/common';
import type { SessionReuse } from 'nest-jwt-hardening';

const logger = new Logger('Notice');

/** A real service writes to the owner: which device, since when, and what to do now. */
export function noticeOfReuse({ sessionId, misuse }: SessionReuse): void {
  logger.warn(`owner.notified sessionId=${sessionId} misuse=${misuse}`);
}
