-- The same with an error that has a DETAIL and a HINT, as those of the extension have.
SELECT pg_size_bytes(:size)
