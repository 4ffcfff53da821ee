import { randomBytes } from 'node:crypto'
import { type Response, send, signIn, signUpBody } from './machine.ts'

interface Sent {
  path: string
  began: number
  ended: number
  status: number
  code: unknown
}

interface Session {
  name: string
  accessToken: string
  refreshToken: string
  /** a refresh is under way */
  busy: boolean
}

const PASSIVE = ['test/all', 'test/user', 'users/me']

/** Sends requests at a steady rate, however long their responses take, and records what was acknowledged. */
export class Load {
  readonly #url: string
  readonly #pause: number
  readonly #sent: Sent[] = []
  readonly #names: string[] = []
  readonly #sessions: Session[] = []
  readonly #open = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #count = 0

  constructor (url: string, perSecond: number) {
    this.#url = url
    this.#pause = 1000 / perSecond
  }

  begin (): void {
    const began = performance.now()
    this.#timer = setInterval(() => {
      // Makes up for a late timer.
      while (this.#count * this.#pause < performance.now() - began) {
        const request = this.#next(this.#count++).finally(() => this.#open.delete(request))
        this.#open.add(request)
      }
    }, 5)
  }

  async finish (): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#open)
  }

  /** In ten requests: two sign-ups, one sign-in, three refreshes, four reads. */
  async #next (count: number): Promise<void> {
    const turn = count % 10
    if (turn === 0 || turn === 5) await this.#signUp()
    else if (turn === 2) await this.#signIn()
    else if (turn === 3 || turn === 6 || turn === 8) await this.#refresh()
    else await this.#read(PASSIVE[count % PASSIVE.length] ?? '')
  }

  async #signUp (): Promise<void> {
    const name = `user${randomBytes(6).toString('hex')}`
    const { status } = await this.#record('auth/signup', async () => await send(this.#url, 'auth/signup', { body: signUpBody(name) }))
    if (status === 200) this.#names.push(name)
  }

  async #signIn (): Promise<void> {
    const name = pick(this.#names)
    if (!name) return
    const { status, body } = await this.#record('auth/signin', async () => await signIn(this.#url, name))
    if (status === 200) this.#sessions.push({ name, ...tokens(body), busy: false })
  }

  async #refresh (): Promise<void> {
    const session = pick(this.#sessions.filter(({ busy }) => !busy))
    if (!session) return
    session.busy = true
    const { refreshToken } = session
    const { status, body } = await this.#record('auth/refreshtoken', async () =>
      await send(this.#url, 'auth/refreshtoken', { body: { refreshToken } }))
    if (status === 200) Object.assign(session, tokens(body))
    session.busy = false
  }

  async #read (path: string): Promise<void> {
    const session = pick(this.#sessions)
    if (session) await this.#record(path, async () => await send(this.#url, path, { token: session.accessToken }))
  }

  async #record (path: string, request: () => Promise<Response>): Promise<Response> {
    const began = Date.now()
    const response = await request()
    const { status, body } = response
    this.#sent.push({ path, began, ended: Date.now(), status, code: body['code'] ?? body['error'] })
    return response
  }

  total = (): number => this.#sent.length

  statuses = (): number[] => [...new Set(this.#sent.map(({ status }) => status))].sort()

  failedSince = (time: number): Sent[] => this.#sent.filter(({ began, status }) => began >= time && status !== 200)

  #writes = (time: number): Sent[] =>
    this.#sent.filter(({ path, began, status }) => path.startsWith('auth/') && began >= time && status === 200)

  writesSince = (time: number): number => this.#writes(time).length

  firstWriteSince = (time: number): number => Math.min(...this.#writes(time).map(({ ended }) => ended))

  acknowledged = (): { names: string[], chains: Session[] } => ({ names: this.#names, chains: this.#sessions })

  /** The number of responses of each kind: "auth/signup 200 ×40, …". */
  summary (): string {
    const counts = new Map<string, number>()
    for (const { path, status, code } of this.#sent) {
      const kind = [path, status, code].filter(Boolean).join(' ')
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    return [...counts].sort().map(([kind, count]) => `${kind} ×${count}`).join(', ')
  }
}

const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(Math.random() * list.length)]

const tokens = ({ accessToken, refreshToken }: Record<string, unknown>) =>
  ({ accessToken: String(accessToken), refreshToken: String(refreshToken) })
