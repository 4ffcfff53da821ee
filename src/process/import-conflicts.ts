import { fold, type ImportedUser } from '../../sql/import.ts'

/** What users are distinguished by. */
type Names = Pick<ImportedUser, 'id' | 'username' | 'email'>

/** Finds users by their ids, and by their usernames and e-mail addresses in any case. */
class Index {
  readonly #ids = new Map<number, Names>()
  readonly #usernames = new Map<string, Names>()
  readonly #emails = new Map<string, Names>()

  /** Adds a user, whose names do not replace those of earlier ones. */
  add ({ id, username, email }: Names): void {
    const user = { id, username, email }
    if (!this.#ids.has(id)) this.#ids.set(id, user)
    if (!this.#usernames.has(fold(username))) this.#usernames.set(fold(username), user)
    if (!this.#emails.has(fold(email))) this.#emails.set(fold(email), user)
  }

  has ({ id, username, email }: Names): boolean {
    const user = this.#ids.get(id)
    return user?.username === username && user.email === email
  }

  /** @param where the users of the index are */
  conflicts ({ id, username, email }: Names, where: string): string[] {
    const sameId = this.#ids.get(id)
    const sameUsername = this.#usernames.get(fold(username))
    const sameEmail = this.#emails.get(fold(email))
    const belongs = (what: string, text: string, user: Names, theirs: string): string => text === theirs
      ? `the ${what} ${text} belongs to user ${user.id} ${where}`
      : `the ${what} ${text} differs only in case from that of user ${user.id} ${where}, ${theirs}`
    return [
      ...sameId ? [`the id belongs to the user ${sameId.username} ${where}`] : [],
      ...sameUsername && sameUsername !== sameId ? [belongs('username', username, sameUsername, sameUsername.username)] : [],
      ...sameEmail && sameEmail !== sameId ? [belongs('e-mail address', email, sameEmail, sameEmail.email)] : []
    ]
  }
}

/**
 * Finds the users of the source who share an id, a username or an e-mail address. The first of them has it; the later
 * ones are conflicts.
 */
export function createSourceCheck (): (user: Names) => string[] {
  const index = new Index()
  return user => {
    const conflicts = index.conflicts(user, 'earlier in the source')
    index.add(user)
    return conflicts
  }
}

/**
 * Compares users with those that this service has.
 * @returns for a user, whether it is there already, or the conflicts with others
 */
export function createServiceCheck (existing: readonly Names[]): (user: Names) => 'present' | string[] {
  const index = new Index()
  for (const user of existing) index.add(user)
  return user => index.has(user) ? 'present' : index.conflicts(user, 'of this service')
}
