const AUTHOR = { actorId: null, ip: '127.0.0.1' }

const PAGE = 100

/** A tenth of the users per statement of `npm run import`. */
const BATCH = 100

const newUsers = ({ i, size }) => Array.from({ length: BATCH }, (_, index) => ({
  id: 2 * size + index,
  username: `imported${i}-${index}`,
  email: `imported${i}-${index}@example.com`,
  emailVerified: false,
  password: '$2b$10$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK',
  roles: ['user'],
  created: undefined,
  disabled: false
}))

/** Users, their roles, addresses and changes. @param sql the exports of the modules of sql/ */
export const statementsOfUsers = sql => ({
  user_by_id: user => sql.userById(user.userId),
  users_page: user => sql.usersPage({ after: user.userId, limit: PAGE }),
  users_page_by_role: user => sql.usersPageByRole({ after: user.userId, limit: PAGE }, 'user'),
  search_index: () => sql.searchIndex(),
  'search_users: whole name': user => sql.searchUsers({ after: 0, limit: PAGE }, user.username),
  'search_users: part of all addresses': () => sql.searchUsers({ after: 0, limit: PAGE }, 'example'),
  'search_users: no match': user => sql.searchUsers({ after: 0, limit: PAGE }, `nosuchname${user.i % 10}`),
  'search_users_by_role: whole name': user => sql.searchUsersByRole({ after: 0, limit: PAGE }, user.username, 'user'),
  'search_users_by_role: no match': user =>
    sql.searchUsersByRole({ after: 0, limit: PAGE }, `nosuchname${user.i % 10}`, 'admin'),
  users_by_name: user => sql.usersByName({ after: 0, limit: PAGE }, user.email),
  lock_roles: user => sql.lockRoles(user.userId),
  lock_admin_role: () => sql.lockAdminRole(),
  lock_user: user => sql.lockUser(user.userId),
  'lock_user: admin': user => sql.lockUser(user.admin),
  lock_enabled_user: user => sql.lockEnabledUser(user.userId),
  replace_roles: user => sql.replaceRoles(user.userId, ['moderator']),
  set_disabled: user => sql.setDisabled(user.userId, true),
  delete_user: user => sql.deleteUser(user.userId),
  user_by_email: user => sql.userByEmail(user.email),
  verify_email: user => sql.verifyEmail(user.userId),
  change_email: user => sql.changeEmail(user.userId, `changed${user.i}@example.com`),
  availability: user => sql.availability(`newcomer${user.i}`, `newcomer${user.i}@example.com`),
  insert_user: user => sql.insertUser({
    username: `newcomer${user.i}`, email: `newcomer${user.i}@example.com`, passwordHash: user.passwordHash, roles: ['user']
  }, AUTHOR),
  existing_users: user => sql.existingUsers(newUsers(user)),
  import_users: user => sql.importUsers(newUsers(user)),
  // A sequence does not roll back, so each execution advances it.
  advance_user_ids: user => sql.advanceUserIds(4 * user.size + user.i),
  export_page: user => sql.exportPage({ after: user.userId, limit: PAGE })
})
