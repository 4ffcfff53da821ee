import { test } from 'tap'
import { weaknessOf } from '../../../src/passwords/strength.ts'

const common = new Set(['password1', 'iloveyou1', 'password', 'dragon', 'abc'])
const names = ['Alice', 'alice.smith@example.com', 'alice.smith', 'gatehouse', 'https://auth.example.com']
const ask = (password: string) => weaknessOf(password, names, common)

const COMMON = 'one of the most common'
const MADE_OF_NAMES = 'made of the username, the e-mail address or the name of the service'

test('a common password is rejected, in any case', async t => {
  for (const password of ['password1', 'PassWord1', 'ILOVEYOU1']) t.equal(ask(password), COMMON, password)
})

test('a common word is rejected whatever is added to it, of any length', async t => {
  for (const password of [
    'password1234567', 'passwordpassword', 'Password!Password!', '!!dragon2026!!', 'DragonDragonDragon', '123dragon321123dragon321'
  ]) t.equal(ask(password), 'a common word with digits, symbols or repetitions', password)
  for (const password of ['dragonfly swarm', 'my dragon is 15 years old', 'abcabcabcabcabc', '314159265358979']) {
    t.equal(ask(password), undefined, password)
  }
})

test('a password made of the user\'s names is rejected', async t => {
  for (const password of [
    'alicealice', 'Alice123', 'ALICE!!!!', '12alice34', 'alice.smith', 'alice.smith@example.com', 'smith2026', 'alicesmith99',
    'gatehouse', 'Gatehouse1', 'aliceGatehouse', 'https://auth.example.com'
  ]) t.equal(ask(password), MADE_OF_NAMES, password)
})

test('a password may contain a name if it has enough further characters', async t => {
  for (const password of ['alice in wonderland', 'malicestruck', 'correct horse', 'Tr0ub4dor&3', 'blacksmithery', 'x'.repeat(8)]) {
    t.equal(ask(password), undefined, password)
  }
})

test('short parts of a name are ignored', async t => {
  t.equal(weaknessOf('annotate', ['an.na', 'a@b.c'], common), undefined)
})

test('an empty name is ignored', async t => {
  t.equal(weaknessOf('12345', [''], common), undefined)
})
