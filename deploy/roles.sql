-- Two roles: one owns the tables and applies migrations, and the service has another, which can neither change the
-- schema nor drop the triggers that keep the audit log append-only. Run once, as a superuser, in an empty database:
--
--   psql -v owner_password=… -v service_password=… -f roles.sql "$SUPERUSER_URL"
--
-- Then, with each update, before the new version starts:
--
--   DATABASE_URL=postgres://gatehouse_owner:…@host/database npm run migrate
--
-- The service itself runs with DATABASE_URL=postgres://gatehouse_service:…@host/database.

\set ON_ERROR_STOP on

CREATE ROLE gatehouse_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE gatehouse_service LOGIN PASSWORD :'service_password';

-- PostgreSQL 14 and older let everybody create tables here.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO gatehouse_owner;
GRANT USAGE ON SCHEMA public TO gatehouse_service;

-- For the tables of all migrations to come.
ALTER DEFAULT PRIVILEGES FOR ROLE gatehouse_owner IN SCHEMA public
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO gatehouse_service;
