-- A PL/pgSQL function with the same effects: see ../setup.sql.
SELECT * FROM bench.claim_seat(:token)
