import { test } from 'tap'
import { type Access, toAuthority, isAccess, isRole, denial, type Role, roleId, roles } from '../../src/access.ts'

test('the roles and their numbers are those of the table', async t => {
  t.strictSame(roles, ['user', 'moderator', 'admin'])
  t.strictSame(roles.map(roleId), [1, 2, 3])
})

test('a role is shown to front-ends as an toAuthority', async t => {
  t.strictSame(roles.map(toAuthority), ['ROLE_USER', 'ROLE_MODERATOR', 'ROLE_ADMIN'])
})

test('only the exact names are roles', async t => {
  for (const name of roles) t.equal(isRole(name), true, name)
  for (const name of ['', 'Admin', 'ROLE_ADMIN', ' admin', 'root', 'constructor', '__proto__', 'toString', '0']) {
    t.equal(isRole(name), false, JSON.stringify(name))
  }
})

test('only the names of the policies are accesses', async t => {
  for (const name of ['public', 'signed-in', 'moderator', 'admin', 'moderator or admin']) t.equal(isAccess(name), true, name)
  const others = [undefined, null, '', 'Public', 'user', 'admin or moderator', '__proto__', 'constructor', 'toString', 0, ['public'], {}]
  for (const value of others) t.equal(isAccess(value), false, JSON.stringify(value) ?? 'undefined')
})

test('who may enter where is decided by the roles held, each one exact', async t => {
  const everySet: Role[][] = [
    [], ['user'], ['moderator'], ['admin'], ['user', 'moderator'], ['user', 'admin'], ['moderator', 'admin'],
    ['user', 'moderator', 'admin']
  ]
  const entering: Record<Access, (held: Role[]) => boolean> = {
    public: () => true,
    'signed-in': () => true,
    moderator: held => held.includes('moderator'),
    admin: held => held.includes('admin'),
    'moderator or admin': held => held.includes('moderator') || held.includes('admin')
  }
  const refusals: Partial<Record<Access, string>> = {
    moderator: 'MODERATOR_REQUIRED',
    admin: 'ADMIN_REQUIRED',
    'moderator or admin': 'MODERATOR_OR_ADMIN_REQUIRED'
  }
  for (const [access, mayEnter] of Object.entries(entering) as Array<[Access, (held: Role[]) => boolean]>) {
    for (const held of everySet) {
      t.equal(denial(access, held), mayEnter(held) ? undefined : refusals[access], `${access} by [${held.join(', ')}]`)
    }
  }
})
