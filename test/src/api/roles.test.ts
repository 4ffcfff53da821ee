import { test } from 'tap'
import { toRoles } from '../../../src/api/roles.ts'

test('roles have no duplicates and their own order', async t => {
  t.strictSame(toRoles(['admin', 'user', 'admin']), ['user', 'admin'])
  t.strictSame(toRoles([]), [])
  t.throws(() => toRoles(['user', 'root']), { code: 'ROLE_UNKNOWN', message: 'Failed! Role does not exist = root' })
})
