import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist', '**/dist', '.tap', '.gatehouse', '**/schema.d.ts'] }),
  {
    files: ['**/*.ts'],
    rules: {
      // A cast to any or an unused disable is a hole in the types; the house has none.
      '@typescript-eslint/no-explicit-any': 'error'
    }
  }
]
