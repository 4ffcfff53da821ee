import pg from 'pg'

// The tables of another service, in another database: users, roles and user_roles, as Sequelize creates them.

/** The spellings of the columns that are read, by table. */
const COLUMNS = {
  users: { id: ['id'], username: ['username'], email: ['email'], password: ['password', 'password_hash', 'passwordHash'] },
  roles: { id: ['id'], name: ['name'] },
  user_roles: { userId: ['userId', 'user_id', 'UserId'], roleId: ['roleId', 'role_id', 'RoleId'] }
}

const CREATED = ['createdAt', 'created_at']

const FIND_COLUMNS = `SELECT relname AS table, attname AS column FROM pg_attribute
  JOIN pg_class ON pg_class.oid = attrelid
  WHERE attrelid IN (to_regclass('users'), to_regclass('roles'), to_regclass('user_roles'))
    AND attnum > 0 AND NOT attisdropped`

interface Column {
  table: string
  column: string
}

/** @returns the SQL of a column, by the first of the spellings that exists */
function find (columns: readonly Column[], table: string, spellings: readonly string[]): string | undefined {
  const spelling = spellings.find(name => columns.some(found => found.table === table && found.column === name))
  return spelling === undefined ? undefined : `${table}.${pg.escapeIdentifier(spelling)}`
}

/** @throws Error if there is no such column */
function need (columns: readonly Column[], table: string, spellings: readonly string[]): string {
  const column = find(columns, table, spellings)
  if (column !== undefined) return column
  throw new Error(`The database to import from has no table ${table} with a column ${spellings.join(' or ')}. ` +
    'If the tables are in another schema, name it with --schema.')
}

/** The query of all users, each as one JSON value. */
function selectUsers (columns: readonly Column[]): string {
  const { users, roles, user_roles: userRoles } = COLUMNS
  const id = need(columns, 'users', users.id)
  const username = need(columns, 'users', users.username)
  const email = need(columns, 'users', users.email)
  const password = need(columns, 'users', users.password)
  const roleId = need(columns, 'roles', roles.id)
  const role = need(columns, 'roles', roles.name)
  const created = find(columns, 'users', CREATED) ?? 'NULL'
  return `SELECT json_build_object('id', ${id}, 'username', ${username}, 'email', ${email}, 'password', ${password},
      'roles', coalesce(granted.roles, '{}'),
      'created', to_char(coalesce(${created}::timestamptz, now()) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) AS user
    FROM users LEFT JOIN (
      SELECT ${need(columns, 'user_roles', userRoles.userId)} AS id, array_agg(${role}::text ORDER BY ${roleId}) AS roles
      FROM user_roles JOIN roles ON ${roleId} = ${need(columns, 'user_roles', userRoles.roleId)} GROUP BY 1
    ) AS granted ON granted.id = ${id}
    ORDER BY ${id}`
}

/**
 * Reads the users of another database, in the order of their ids and in one snapshot.
 * @param schema of the tables, unless the database finds them by itself
 * @param limit users per page
 * @throws Error that names the missing table or column
 */
export async function * readClassicTables (
  connectionString: string,
  { schema, limit }: { schema: string | undefined, limit: number }
): AsyncGenerator<unknown[]> {
  const client = new pg.Client({ connectionString, application_name: 'gatehouse import' })
  // The pending statement reports a lost connection. Without a listener the event would also end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    // Times without a zone are those of Sequelize and others, which write UTC.
    await client.query('SET LOCAL TimeZone = \'UTC\'')
    if (schema !== undefined) await client.query(`SET LOCAL search_path = ${pg.escapeIdentifier(schema)}`)
    const { rows: columns } = await client.query<Column>(FIND_COLUMNS)
    await client.query(`DECLARE imported NO SCROLL CURSOR FOR ${selectUsers(columns)}`)
    for (;;) {
      const { rows } = await client.query<{ user: unknown }>(`FETCH ${limit} FROM imported`)
      if (rows.length === 0) return
      yield rows.map(({ user }) => user)
    }
  } finally {
    await client.end()
  }
}
