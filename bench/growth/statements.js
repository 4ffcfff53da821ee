import { statementsOfCredentials } from './statements-of-credentials.js'
import { statementsOfMails } from './statements-of-mails.js'
import { statementsOfOperations } from './statements-of-operations.js'
import { statementsOfSessions } from './statements-of-sessions.js'
import { statementsOfUsers } from './statements-of-users.js'

/**
 * Every statement of sql/ by its name, as a function of a sample (samples.js). A second entry of a statement has a text
 * after its name: `lock_user: admin`.
 * @param sql the exports of the modules of sql/
 */
export const statements = sql => ({
  ...statementsOfSessions(sql),
  ...statementsOfUsers(sql),
  ...statementsOfCredentials(sql),
  ...statementsOfMails(sql),
  ...statementsOfOperations(sql)
})
