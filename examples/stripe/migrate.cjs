// Makes or updates the tables of the schema stripe. runMigrations only works from CommonJS, and tells its errors to nobody
// but the logger.
const { runMigrations } = require('@supabase/stripe-sync-engine');

const logger = {
  info() {},
  error({ message }) {
    console.error(message);
    process.exitCode = 1;
  },
};
runMigrations({ schema: 'stripe', databaseUrl: process.env.DATABASE_URL, logger });
