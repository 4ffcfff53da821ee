import { test } from 'tap'
import { type Access, denial, isAccess, isRole, policies, type Role, roleId, roles, toAuthority } from '../../src/access.ts'

test('roles have the order and the ids of the table', async t => {
  t.strictSame(roles, ['user', 'moderator', 'admin'])
  t.strictSame(roles.map(roleId), [1, 2, 3])
})

test('clients receive a role as ROLE_ and its name in upper case', async t => {
  t.strictSame(roles.map(toAuthority), ['ROLE_USER', 'ROLE_MODERATOR', 'ROLE_ADMIN'])
})

test('only exact names are roles', async t => {
  for (const name of roles) t.equal(isRole(name), true, name)
  for (const name of ['', 'Admin', 'ROLE_ADMIN', ' admin', 'root', 'constructor', '__proto__', 'toString', '0']) {
    t.equal(isRole(name), false, JSON.stringify(name))
  }
})

test('only the names of policies are access values', async t => {
  for (const name of ['public', 'signed-in', 'moderator', 'admin', 'moderator or admin']) t.equal(isAccess(name), true, name)
  const others = [undefined, null, '', 'Public', 'user', 'admin or moderator', '__proto__', 'constructor', 'toString', 0, ['public'], {}]
  for (const value of others) t.equal(isAccess(value), false, JSON.stringify(value) ?? 'undefined')
})

test('access depends on the roles held, without a hierarchy', async t => {
  const everySet: Role[][] = [
    [], ['user'], ['moderator'], ['admin'], ['user', 'moderator'], ['user', 'admin'], ['moderator', 'admin'],
    ['user', 'moderator', 'admin']
  ]
  const admits: Record<Access, (held: Role[]) => boolean> = {
    public: () => true,
    'signed-in': () => true,
    moderator: held => held.includes('moderator'),
    admin: held => held.includes('admin'),
    'moderator or admin': held => held.includes('moderator') || held.includes('admin')
  }
  const denials: Partial<Record<Access, string>> = {
    moderator: 'MODERATOR_REQUIRED',
    admin: 'ADMIN_REQUIRED',
    'moderator or admin': 'MODERATOR_OR_ADMIN_REQUIRED'
  }
  t.strictSame(Object.keys(admits), Object.keys(policies))
  for (const access of Object.keys(admits).filter(isAccess)) {
    for (const held of everySet) {
      const expected = admits[access](held) ? undefined : denials[access]
      t.equal(denial(access, held), expected, `${access} with [${held.join(', ')}]`)
    }
  }
})
