import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { descriptorLimit } from '../../../src/config/descriptor-limit.ts'
import { createFolder } from '../../support/folder.ts'

test('the limit of file descriptors is the soft one that Linux reports', async t => {
  const file = join(await createFolder(t), 'limits')
  writeFileSync(file, 'Limit                     Soft Limit           Hard Limit           Units\n' +
    'Max processes             7                    8                    processes\n' +
    'Max open files            1024                 1048576              files\n')
  t.equal(descriptorLimit(file), 1024)
  t.ok(descriptorLimit() > 0)
})

test('a system that reports no limit has none', async t => {
  const file = join(await createFolder(t), 'limits')
  t.equal(descriptorLimit(file), Infinity, 'no such file')
  writeFileSync(file, 'Max open files            unlimited            unlimited            files\n')
  t.equal(descriptorLimit(file), Infinity)
})
