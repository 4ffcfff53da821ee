import { chown, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { until } from '../support/wait.ts'
import {
  createFolder, freePort, listens, PASSWORD, run, send, signUpBody, start, startInstance, startPostgres, writeFor
} from './machine.ts'

/** The services of a mail server that receives by SMTP and delivers to mailboxes on this machine. */
const masterOf = (port: number) => `
127.0.0.1:${port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
`

/** The user who owns the mailboxes. */
const NOBODY = 65534

/** Starts Debian's Postfix for the domain example.com, with a Maildir each for alice and bob. */
async function startPostfix (t: Test) {
  const folder = await createFolder(t)
  const port = await freePort()
  await writeFor(join(folder, 'main.cf'), Object.entries({
    compatibility_level: '3.6',
    queue_directory: join(folder, 'spool'),
    data_directory: join(folder, 'data'),
    maillog_file: join(folder, 'log'),
    maillog_file_prefixes: folder,
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    myhostname: 'mail.example.com',
    mydestination: '',
    mynetworks: '127.0.0.0/8',
    virtual_mailbox_domains: 'example.com',
    virtual_mailbox_base: join(folder, 'mailboxes'),
    virtual_mailbox_maps: 'inline:{ alice@example.com=alice/, bob@example.com=bob/ }',
    virtual_uid_maps: `static:${NOBODY}`,
    virtual_gid_maps: `static:${NOBODY}`,
    virtual_minimum_uid: '1'
  }).map(([name, value]) => `${name} = ${value}\n`).join(''), 0o644)
  await writeFor(join(folder, 'master.cf'), masterOf(port), 0o644)
  await mkdir(join(folder, 'spool'))
  for (const [name, user] of [['data', await run(['id', '-u', 'postfix'])], ['mailboxes', NOBODY]] as const) {
    await mkdir(join(folder, name))
    await chown(join(folder, name), Number(user), Number(user))
  }
  return { port, folder }
}

/** The mails in the mailbox of an address, without the line breaks of quoted-printable. */
async function mailsOf (folder: string, name: string): Promise<string[]> {
  const mailbox = join(folder, 'mailboxes', name, 'new')
  const files = await readdir(mailbox).catch(() => [])
  return await Promise.all(files.map(async file =>
    (await readFile(join(mailbox, file), 'utf8')).replace(/=\r?\n/g, '').replaceAll('=3D', '=')))
}

test('mails reach a mailbox through Postfix, also those that were queued while it was stopped', async t => {
  const postfix = await startPostfix(t)
  const database = await startPostgres(t, {})
  const instance = await startInstance(t, database.folder, 'mailing', {
    DATABASE_URL: `postgres://postgres:${PASSWORD}@127.0.0.1:${database.port}/postgres`,
    MAIL_URL: `smtp://127.0.0.1:${postfix.port}`,
    MAIL_FROM: 'Example <accounts@example.org>',
    PUBLIC_URL: 'https://auth.example.org'
  })
  await listens(instance)

  t.equal((await send(instance.url, 'auth/signup', { body: signUpBody('alice') })).status, 200, 'while it is stopped')
  await until('the attempt to fail', () => instance.output().includes('mail delayed'))
  const running = start(t, 'postfix', ['postfix', '-c', postfix.folder, 'start-fg'], { folder: postfix.folder, root: true })
  t.teardown(async () => { await run(['postfix', '-c', postfix.folder, 'stop']).catch(() => {}) })
  const email = 'bob@example.com'
  await until('Postfix to accept mails', async () => {
    if (running.end() !== undefined) throw new Error(running.output())
    return (await readFile(join(postfix.folder, 'log'), 'utf8').catch(() => '')).includes('starting the Postfix mail system')
  })
  t.equal((await send(instance.url, 'auth/signup', { body: signUpBody('bob') })).status, 200)
  const [verification = ''] = await until('the mail of the sign-up', async () => {
    const mails = await mailsOf(postfix.folder, 'bob')
    return mails.length > 0 && mails
  })
  t.match(verification, /^Subject: Confirm your e-mail address for gatehouse\r?$/m)
  const [, token = ''] = /#token=([\w-]{43})&/.exec(verification) ?? []
  t.equal((await send(instance.url, 'auth/email/verify', { body: { token, password: 'correct horse' } })).status, 200)

  await send(instance.url, 'auth/password/forgot', { body: { email } })
  const mails = await until('the mail to reset the password', async () => {
    const found = await mailsOf(postfix.folder, 'bob')
    return found.length > 1 && found
  })
  const reset = mails.map(mail => /password\/reset#token=([\w-]{43})&/.exec(mail)?.[1]).find(Boolean)
  const body = { token: reset, newPassword: 'battery staple' }
  t.equal((await send(instance.url, 'auth/password/reset', { body })).status, 200)
  t.equal((await send(instance.url, 'auth/signin', { body: { username: 'bob', password: 'battery staple' } })).status, 200)
  await until('the mail that was queued while it was stopped', async () => (await mailsOf(postfix.folder, 'alice')).length > 0, 90_000)
})
