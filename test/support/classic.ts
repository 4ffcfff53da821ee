import type { Test } from 'tap'
import { createDatabase, PASSWORD, sql } from './app.ts'

/** The hash of PASSWORD by bcryptjs 2.4.3, with the cost of the classic service. */
export const CLASSIC_HASH = '$2a$08$W8hew1Uf83htLbGdd3lufOuQHrIL9Au/qWu7Yuy8DnSI67GtcazZW'

/** Passwords and their hashes by bcryptjs 2.4.3 at cost 4. */
export const CLASSIC_PASSWORDS: ReadonlyArray<readonly [password: string, hash: string]> = [
  [PASSWORD, '$2a$04$8pGojtGp1xXYAZzfCtRjcOKGBtxGW9lUyVUu2hLCogblbm4OpKNa2'],
  ['Zoë hört Händel', '$2a$04$IHk78l89dQuEXn0fVXm3ner.SzwHD2WLiRO3nK2XUzBYxZ9kPOV0O'],
  ['x'.repeat(100), '$2a$04$sGQczMiB.fRP5auyAeeCyOpXsPUd9pDT7HdqFfYSl21isQNVC.NrO'],
  ['é'.repeat(40), '$2a$04$0J2yuGz89IBrSWz65aTnpuwPA4wrzY83MrrzM8cGvFnUxw10i2zfO']
]

/** The tables that Sequelize creates for bench/peers/express.js. */
const TABLES = `
  CREATE TABLE users (id serial PRIMARY KEY, username varchar(255), email varchar(255), password varchar(255),
    "createdAt" timestamptz NOT NULL, "updatedAt" timestamptz NOT NULL);
  CREATE TABLE roles (id integer PRIMARY KEY, name varchar(255),
    "createdAt" timestamptz NOT NULL, "updatedAt" timestamptz NOT NULL);
  CREATE TABLE user_roles ("createdAt" timestamptz NOT NULL, "updatedAt" timestamptz NOT NULL,
    "userId" integer REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE,
    "roleId" integer REFERENCES roles ON DELETE CASCADE ON UPDATE CASCADE, PRIMARY KEY ("userId", "roleId"));
  INSERT INTO roles VALUES (1, 'user', now(), now()), (2, 'moderator', now(), now()), (3, 'admin', now(), now())`

/**
 * A database of the classic service with users user1, user2, …, whose passwords are those of CLASSIC_PASSWORDS in turn.
 * Every tenth is an admin as well.
 */
export async function createClassicDatabase (t: Test, users: number): Promise<string> {
  const url = await createDatabase(t, 'template0')
  await sql(url, TABLES)
  await sql(url, `INSERT INTO users (username, email, password, "createdAt", "updatedAt")
    SELECT 'user' || n, 'User' || n || '@example.com', ($2::text[])[1 + (n - 1) % cardinality($2)],
      '2020-01-01T12:00:00.123456Z'::timestamptz + n * interval '1 minute', now() FROM generate_series(1, $1::int) AS n`,
  [users, CLASSIC_PASSWORDS.map(([, hash]) => hash)])
  await sql(url, `INSERT INTO user_roles ("userId", "roleId", "createdAt", "updatedAt")
    SELECT id, role, now(), now() FROM users, unnest(ARRAY[1, 3]) AS role WHERE role = 1 OR id % 10 = 0`)
  return url
}
