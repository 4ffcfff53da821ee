import fp from 'fastify-plugin'
import type { Statement } from '../sql/statement.ts'
import { searchIndex, searchUsers, searchUsersByRole, usersByName } from '../sql/user-search.ts'
import { type Page, usersPage, usersPageByRole } from '../sql/users.ts'
import type { Role } from '../src/access.ts'
import type { User } from '../src/api/users.ts'
import type { Config } from '../src/config/read-settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The statement of a page of users.
     * @param role only users who have it
     * @param text only users who have it in the username or the e-mail address
     */
    usersPage (page: Page, role: Role | undefined, text: string): Statement<User>
  }
}

/**
 * Finds users by a part of the username or the e-mail address. Without the index that would read all users, so only
 * whole ones match.
 */
export default fp<{ config: Config }>(async function userSearch (fastify, { config }) {
  let usesIndex = false

  // Not before: the migrations create the index.
  if (config.USER_SEARCH === 'auto') {
    fastify.addHook('onReady', async () => {
      usesIndex = (await fastify.db.query(searchIndex())).some(({ isUsable }) => isUsable)
      if (usesIndex) return
      fastify.log.warn('The index users_search_idx is missing or invalid, so a search of users finds only whole usernames ' +
      'and e-mail addresses. Create it as docs/operations.md describes and restart, or set USER_SEARCH=exact.')
    })
  }

  fastify.decorate('usersPage', (page, role, text) => {
    if (text === '') return role ? usersPageByRole(page, role) : usersPage(page)
    if (!usesIndex) return usersByName(page, text, role)
    return role ? searchUsersByRole(page, text, role) : searchUsers(page, text)
  })
}, { name: 'user-search', fastify: '5.x', dependencies: ['db'] })
