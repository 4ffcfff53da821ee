import { randomUUID } from 'node:crypto'
import bcrypt from 'bcryptjs'
import cors from 'cors'
import express from 'express'
import jwt from 'jsonwebtoken'
import { DataTypes, Sequelize } from 'sequelize'

// The classic design: Express 5, Sequelize 6, bcryptjs 3 at cost 8, jsonwebtoken. Every authenticated request reads
// the user and the roles. A refresh token is a row that is read and never exchanged.
const sequelize = new Sequelize(process.env.DATABASE_URL, { logging: false, pool: { max: 10, idle: 60_000 } })
const User = sequelize.define('users', { username: DataTypes.STRING, email: DataTypes.STRING, password: DataTypes.STRING }, { indexes: [{ fields: ['username'] }] })
const Role = sequelize.define('roles', { id: { type: DataTypes.INTEGER, primaryKey: true }, name: DataTypes.STRING })
const Token = sequelize.define('refresh_tokens', { token: { type: DataTypes.STRING, unique: true }, expiryDate: DataTypes.DATE })
User.belongsToMany(Role, { through: 'user_roles' })
Role.belongsToMany(User, { through: 'user_roles' })
Token.belongsTo(User)
await sequelize.sync()
await Role.bulkCreate(['user', 'moderator', 'admin'].map((name, index) => ({ id: index + 1, name })), { ignoreDuplicates: true })

const sign = user => jwt.sign({ id: user.id }, process.env.JWT_SECRET, { expiresIn: 3600 })
const app = express()
app.use(cors({ origin: 'http://localhost:8081' }))
app.use(express.json())
app.use(express.urlencoded({ extended: true }))

app.get('/', (_request, response) => response.json({ message: 'Welcome.' }))
app.post('/api/auth/signup', async (request, response) => {
  const { username, email, password, roles = ['user'] } = request.body
  if (await User.findOne({ where: { username } })) return response.status(400).send({ message: 'Failed! Username is already in use!' })
  if (await User.findOne({ where: { email } })) return response.status(400).send({ message: 'Failed! Email is already in use!' })
  const user = await User.create({ username, email, password: await bcrypt.hash(password, 8) })
  await user.setRoles(await Role.findAll({ where: { name: roles } }))
  response.send({ message: 'User was registered successfully!' })
})
app.post('/api/auth/signin', async (request, response) => {
  const user = await User.findOne({ where: { username: request.body.username } })
  if (!user) return response.status(404).send({ message: 'User Not found.' })
  if (!await bcrypt.compare(request.body.password, user.password)) return response.status(401).send({ message: 'Invalid Password!' })
  const expiryDate = new Date(Date.now() + 86_400_000)
  const { token: refreshToken } = await Token.create({ token: randomUUID(), userId: user.id, expiryDate })
  const roles = (await user.getRoles()).map(role => `ROLE_${role.name.toUpperCase()}`)
  const { id, username, email } = user
  response.send({ id, username, email, roles, accessToken: sign(user), refreshToken })
})
app.post('/api/auth/refreshtoken', async (request, response) => {
  const found = await Token.findOne({ where: { token: request.body.refreshToken }, include: User })
  if (!found || found.expiryDate < new Date()) return response.status(403).send({ message: 'Refresh token is not in database!' })
  response.send({ accessToken: sign(found.user), refreshToken: found.token })
})

const guard = role => async (request, response, next) => {
  try {
    request.userId = jwt.verify(request.headers['x-access-token'], process.env.JWT_SECRET).id
  } catch {
    return response.status(401).send({ message: 'Unauthorized!' })
  }
  const user = await User.findByPk(request.userId, { include: Role })
  if (!user || (role && !user.roles.some(({ name }) => name === role))) return response.status(403).send({ message: 'Forbidden' })
  next()
}
app.get('/api/test/all', (_request, response) => response.send('Public Content.'))
app.get('/api/test/user', guard(), (_request, response) => response.send('User Content.'))
app.get('/api/test/admin', guard('admin'), (_request, response) => response.send('Admin Content.'))
app.listen(Number(process.env.PORT), process.env.HOST)
