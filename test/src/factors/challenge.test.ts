import { createHash } from 'node:crypto'
import { test } from 'tap'
import { CHALLENGE_TTL, hashChallenge, newChallenge } from '../../../src/factors/challenge.ts'

test('a challenge has 256 random bits, and its hash is what is stored', t => {
  const challenges = Array.from({ length: 100 }, newChallenge)
  t.equal(new Set(challenges).size, 100)
  for (const challenge of challenges) t.equal(Buffer.from(challenge, 'base64url').length, 32)
  t.equal(hashChallenge('abc'), createHash('sha256').update('abc').digest('base64url'))
  t.end()
})

test('the challenge of a sign-in lives for 5 minutes, and none for more than 15', t => {
  t.equal(CHALLENGE_TTL['sign-in'], 300)
  t.equal(Math.max(...Object.values(CHALLENGE_TTL)), 900)
  t.end()
})
