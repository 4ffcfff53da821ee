import { test } from 'tap'
import { CHALLENGE_TTL, newChallenge } from '../../../src/factors/challenge.ts'

test('a challenge has 256 random bits', t => {
  const challenges = Array.from({ length: 100 }, newChallenge)
  t.equal(new Set(challenges).size, 100)
  for (const challenge of challenges) t.equal(Buffer.from(challenge, 'base64url').length, 32)
  t.end()
})

test('the challenge of a sign-in lives for 5 minutes, and none for more than 15', t => {
  t.equal(CHALLENGE_TTL['sign-in'], 300)
  t.equal(Math.max(...Object.values(CHALLENGE_TTL)), 900)
  t.end()
})
