#!/bin/sh
# Makes the role that owns Sortation's database: it migrates and makes the roles of the processes, and is no superuser.
#
# The image of PostgreSQL runs this when it makes the database. Where a release before this one made it, whose tables
# belong to the superuser, run it once by hand: it hands them over, and may be repeated.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv given SORTATION_OWNER_PASSWORD
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET client_min_messages = 'warning';
BEGIN;
CREATE EXTENSION IF NOT EXISTS vector;
SELECT 'CREATE ROLE sortation_owner'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sortation_owner') \gexec
ALTER ROLE sortation_owner NOSUPERUSER NOBYPASSRLS NOCREATEDB NOREPLICATION LOGIN CREATEROLE PASSWORD :'given';
SELECT format('ALTER DATABASE %I OWNER TO sortation_owner', current_database()) \gexec

-- What a migration made as the superuser, but for what extensions bring. Sequences and indexes follow their tables.
SELECT format('ALTER TABLE %s OWNER TO sortation_owner', c.oid::regclass)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
    AND c.relowner = current_user::regrole
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
\gexec
SELECT format('ALTER ROUTINE %s OWNER TO sortation_owner', p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = current_user::regrole
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
\gexec
SELECT format('GRANT %I TO sortation_owner WITH ADMIN OPTION', rolname)
FROM pg_roles
WHERE rolname IN ('sortation_app', 'sortation_system') AND NOT pg_has_role('sortation_owner', oid, 'MEMBER WITH ADMIN OPTION')
\gexec
COMMIT;
SQL
