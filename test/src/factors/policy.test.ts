import { test } from 'tap'
import type { Role } from '../../../src/access.ts'
import { mustEnrol, type SecondFactorPolicy } from '../../../src/factors/policy.ts'

const CASES: Array<[policy: SecondFactorPolicy, roles: Role[], result: boolean]> = [
  ['optional', ['user'], false],
  ['optional', ['admin'], false],
  ['admins', ['user', 'moderator'], false],
  ['admins', [], false],
  ['admins', ['user', 'admin'], true],
  ['everybody', [], true],
  ['everybody', ['user'], true],
  ['everybody', ['admin'], true]
]

for (const [policy, roles, result] of CASES) {
  test(`with SECOND_FACTOR=${policy}, a user with the roles [${roles.join()}] and no second factor ` +
    `${result ? 'must set one up' : 'need not set one up'}`, t => {
    t.equal(mustEnrol({ roles, hasSecondFactor: false }, policy), result)
    t.equal(mustEnrol({ roles, hasSecondFactor: true }, policy), false, 'with one, there is nothing to set up')
    t.end()
  })
}
