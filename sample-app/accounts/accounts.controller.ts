import { Controller, Get } from '@nestjs/common';
import { CurrentToken, Scopes } from 'nest-jwt-hardening';

interface Account {
  readonly id: string;
  readonly owner: string;
  readonly name: string;
  /** A decimal, as text: money is not a binary fraction. */
  readonly balance: string;
  readonly currency: string;
}

const ACCOUNTS: readonly Account[] = [
  { id: 'ACC-1001', owner: 'alice', name: 'Everyday', balance: '2410.55', currency: 'EUR' },
  { id: 'ACC-1002', owner: 'alice', name: 'Savings', balance: '18200.00', currency: 'EUR' },
  { id: 'ACC-2001', owner: 'bob', name: 'Everyday', balance: '311.20', currency: 'EUR' },
  { id: 'ACC-3001', owner: 'carol', name: 'Household', balance: '975.00', currency: 'EUR' },
];

@Scopes('accounts:read')
@Controller('accounts')
export class AccountsController {
  @Get()
  list(@CurrentToken('subject') owner: string): readonly Account[] {
    return ACCOUNTS.filter((account) => account.owner === owner);
  }
}
