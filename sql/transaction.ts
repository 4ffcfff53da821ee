// What opens and closes a transaction; READ COMMITTED, in which each statement sees what was committed before it.
export const begin = 'BEGIN'
export const commit = 'COMMIT'
export const rollback = 'ROLLBACK'
